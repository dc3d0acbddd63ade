"""pyroute2 where links are provisioned: argv is provision <workload> <peer> <helper>, commands come by stdin.

Everything that can goes through nlm_request_batch, its fastest way. TAPs are made by link('add'), which hides the
ioctls and leaves a persistent device.
"""

import json
import subprocess
import sys
import time

from pyroute2 import IPRoute
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_NEWLINK, RTM_SETLINK
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

WINDOW = 100  # a window keeps the ACKs below the receive buffer
IFF_UP = 1
TOGETHER = 1000  # TAPs of a bridge, macvtaps of a lower device
PORTS_BESIDE = 10
TAP_MTU = 1400


def up(message_type, flags, *attributes):
    message = ifinfmsg()
    message['header']['type'] = message_type
    message['header']['flags'] = NLM_F_REQUEST | NLM_F_ACK | flags
    message['flags'] = message['change'] = IFF_UP
    message['attrs'] = [list(attribute) for attribute in attributes]
    return message


def creation(name, kind, *attributes, data=None):
    info = [['IFLA_INFO_KIND', kind]]
    if data:
        info.append(['IFLA_INFO_DATA', {'attrs': data}])
    linkinfo = ('IFLA_LINKINFO', {'attrs': info})
    return up(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ('IFLA_IFNAME', name), *attributes, linkinfo)


def batched(ipr, messages):
    for first in range(0, len(messages), WINDOW):
        ipr.nlm_request_batch(messages[first : first + WINDOW])


def index_of(ipr, name):
    (link,) = ipr.link('get', ifname=name)
    return link['index']


def create_taps(ipr, count, peer):
    for i in range(count):
        ipr.link('add', ifname=f'tap{i}', kind='tuntap', mode='tap')
    bridges = [index_of(ipr, f'br{i}') for i in range((count - 1) // TOGETHER + 1)]
    batched(
        ipr,
        [
            up(
                RTM_SETLINK,
                0,
                ('IFLA_IFNAME', f'tap{i}'),
                ('IFLA_ADDRESS', f'02:74:00:00:{i >> 8:02x}:{i & 255:02x}'),
                ('IFLA_MTU', TAP_MTU),
                ('IFLA_MASTER', bridges[i // TOGETHER]),
            )
            for i in range(count)
        ],
    )


def create_macvtaps(ipr, count, peer):
    lowers = [('IFLA_LINK', index_of(ipr, f'lower{i}')) for i in range((count - 1) // TOGETHER + 1)]
    mode = [['IFLA_MACVTAP_MODE', 'bridge']]
    batched(ipr, [creation(f'mvt{i}', 'macvtap', lowers[i // TOGETHER], data=mode) for i in range(count)])


def create_veth(ipr, count, peer):
    def other(i):
        return [['VETH_INFO_PEER', {'attrs': [['IFLA_IFNAME', f'peer{i}'], ['IFLA_NET_NS_PID', peer]]}]]

    batched(ipr, [creation(f'veth{i}', 'veth', data=other(i)) for i in range(count)])


def create_bridges(ipr, count, peer):
    batched(ipr, [creation(f'br{i}', 'bridge') for i in range(count)])
    bridges = [index_of(ipr, f'br{i}') for i in range(count)]
    ports = range(count * PORTS_BESIDE)
    batched(ipr, [creation(f'port{i}', 'ifb', ('IFLA_MASTER', bridges[i // PORTS_BESIDE])) for i in ports])


def delete(names):
    def run(ipr, count, peer):
        for name in names(count):
            ipr.link('del', ifname=name)

    return run


def numbered(prefix):
    return lambda count: [f'{prefix}{i}' for i in range(count)]


def bridge_names(count):
    return numbered('port')(count * PORTS_BESIDE) + numbered('br')(count)


WORKLOADS = {
    'taps': {'create': create_taps, 'delete': delete(numbered('tap'))},
    'macvtaps': {'create': create_macvtaps, 'delete': delete(numbered('mvt'))},
    'veth': {'create': create_veth, 'delete': delete(numbered('veth'))},
    'bridges': {'create': create_bridges, 'delete': delete(bridge_names)},
}


def answer(value):
    print(json.dumps(value), flush=True)


def main(_, workload, peer, helper):
    with IPRoute() as ipr:
        answer({})
        for line in sys.stdin:
            verb, count = line.split()[:2]
            start = time.monotonic()
            if verb != 'forget':
                WORKLOADS[workload][verb](ipr, int(count), int(peer) if peer != '-' else None)
            answer({'seconds': time.monotonic() - start})
    subprocess.run([helper, 'clear'], check=True)


main(*sys.argv[1:])
