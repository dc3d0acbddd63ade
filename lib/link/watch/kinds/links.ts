/** Links as they are watched. */
import { linkMessage } from '../../../rtnetlink/link.js'
import { Link } from '../../link.js'
import { getRequest, listRequest } from '../../link-requests.js'
import type { LinkInterest } from '../events.js'
import { indexTest, type Kind, sameMessage } from '../kind.js'

/** @param masterIndex the ifindex of `interest.master`, which is known when the first table is read */
export function watchedLinks(interest: LinkInterest, masterIndex: () => number | undefined): Kind<Link> {
  const { index, name, kind } = interest
  const hasIndex = indexTest(index)
  const hasName = (link: Link) =>
    !name || name.includes(link.name ?? '') || link.altnames.some(altname => name.includes(altname))
  return {
    object: 'link',
    list: 'links',
    headerLength: linkMessage.headerLength,
    view: message => new Link(message),
    key: link => String(link.index),
    scope: link => String(link.index),
    same: (a, b) => sameMessage(linkMessage, a, b),
    wanted: link =>
      hasIndex(link.index) &&
      hasName(link) &&
      (kind === undefined || link.kind === kind) &&
      (masterIndex() === undefined || link.master === masterIndex()),
    readAll: nsid => [
      listRequest({ kind, master: masterIndex(), statistics: false, targetNetnsid: nsid ?? undefined })
    ],
    read: (scope, nsid) => [getRequest(Number(scope), false, nsid ?? undefined)]
  }
}
