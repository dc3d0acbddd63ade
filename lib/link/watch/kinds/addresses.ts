/** Addresses as they are watched. Lifetimes count down: only that they end, which is a flag, is part of the state. */
import { NLM_F_DUMP } from '../../../netlink/constants.js'
import { encodeRequest } from '../../../netlink/request.js'
import { addressMessage } from '../../../rtnetlink/address.js'
import { RTM } from '../../../rtnetlink/verbs.js'
import { Address } from '../../addresses.js'
import type { IndexInterest } from '../events.js'
import { indexTest, type Kind, type Nsid, sameMessage } from '../kind.js'

export function watchedAddresses(interest: IndexInterest): Kind<Address> {
  const hasIndex = indexTest(interest.index)
  const dump = (index: number, nsid: Nsid) =>
    encodeRequest(
      'RTM_GETADDR',
      RTM.RTM_GETADDR,
      addressMessage,
      { family: 'unspec', index, targetNetnsid: nsid ?? undefined },
      { flags: NLM_F_DUMP }
    )
  return {
    object: 'address',
    list: 'addresses',
    headerLength: addressMessage.headerLength,
    view: message => new Address(message),
    // The kernel tells addresses of a link apart by these.
    key: it => `${it.index} ${it.ownAddress}/${it.prefixLength} ${it.address}`,
    scope: it => String(it.index),
    same: (a, b) => sameMessage(addressMessage, a, b),
    wanted: it => hasIndex(it.index) && (it.family === 'inet' || it.family === 'inet6'),
    readAll: nsid => [dump(0, nsid)],
    read: (scope, nsid) => [dump(Number(scope), nsid)]
  }
}
