"""The `links` suite by pyroute2 (Debian's package, run by /usr/bin/python3)."""

import json
import subprocess
import sys
import time

from pyroute2 import IPRoute
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_NEWLINK
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

GET_LINKS = 100
WINDOW = 100
STATES = {'UNKNOWN': 0, 'NOTPRESENT': 1, 'DOWN': 2, 'LOWERLAYERDOWN': 3, 'TESTING': 4, 'DORMANT': 5, 'UP': 6}


def create_delete(ipr, count, kind):
    for _ in range(count):
        ipr.link('add', ifname='one', kind=kind)
        ipr.link('del', ifname='one')


def get(ipr, count, kind):
    total = 0
    for i in range(count):
        (link,) = ipr.link('get', ifname=f'get{i % GET_LINKS}')
        if i < GET_LINKS:
            total += link['index']
    return total


def creation(name, kind):
    message = ifinfmsg()
    message['header']['type'] = RTM_NEWLINK
    message['header']['flags'] = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    message['attrs'] = [['IFLA_IFNAME', name], ['IFLA_LINKINFO', {'attrs': [['IFLA_INFO_KIND', kind]]}]]
    return message


# link('add') one by one gives 3,000 links/s where this gives 4,500; a window keeps the ACKs below the receive buffer
def create_batch(ipr, count, kind):
    for first in range(0, count, WINDOW):
        names = (f'batch{i}' for i in range(first, min(first + WINDOW, count)))
        ipr.nlm_request_batch([creation(name, kind) for name in names])


def dump(ipr, count, kind):
    rows = []
    for _ in range(count):
        rows = [
            (
                link.get_attr('IFLA_IFNAME'),
                link['index'],
                link.get_attr('IFLA_OPERSTATE'),
                link.get_attr('IFLA_MASTER'),
                link.get_attr('IFLA_ADDRESS'),
            )
            for link in ipr.get_links()
        ]
    return rows


def digest(rows):
    mac = 0
    for row in rows:
        mac ^= int(row[4].replace(':', ''), 16)
    names = sum(len(row[0]) for row in rows)
    indexes = sum(row[1] for row in rows)
    states = sum(STATES[row[2]] for row in rows)
    masters = sum(row[3] or 0 for row in rows)
    return f'links={len(rows)} names={names} indexes={indexes} states={states} masters={masters} mac={mac:012x}'


# workload: what is run, unit, value from (count, seconds), check from what the run returned
WORKLOADS = {
    'create-delete': (create_delete, 'operations/s', lambda n, s: n / s, lambda _: ''),
    'get': (get, 'requests/s', lambda n, s: n / s, lambda total: f'indexes={total}'),
    'create-batch': (create_batch, 'links/s', lambda n, s: n / s, lambda _: ''),
    'dump': (dump, 'ms', lambda n, s: s * 1000 / n, digest),
}


WARM_UPS = 3  # untimed runs before the timed one


def main(workload, count, kind, helper):
    run, unit, value, check = WORKLOADS[workload]
    with IPRoute() as ipr:
        for _ in range(WARM_UPS):
            run(ipr, int(count), kind)
            if workload == 'create-batch':
                subprocess.run([helper, 'clear'], check=True)
        start = time.monotonic()
        outcome = run(ipr, int(count), kind)
        seconds = time.monotonic() - start
    print(json.dumps({'value': value(int(count), seconds), 'unit': unit, 'check': check(outcome)}))


main(*sys.argv[1:])
