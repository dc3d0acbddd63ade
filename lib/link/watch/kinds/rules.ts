/** Policy rules as they are watched. That a link of theirs came or went is not announced: it is a flag. */
import { NLM_F_DUMP } from '../../../netlink/constants.js'
import { encodeRequest } from '../../../netlink/request.js'
import type { IpFamily } from '../../../rtnetlink/family.js'
import { ruleMessage } from '../../../rtnetlink/rule.js'
import { RTM } from '../../../rtnetlink/verbs.js'
import { PolicyRule } from '../../rules.js'
import { type Kind, sameMessage } from '../kind.js'

export function watchedRules(): Kind<PolicyRule> {
  const dump = (family: IpFamily | 'unspec') =>
    encodeRequest('RTM_GETRULE', RTM.RTM_GETRULE, ruleMessage, { family }, { flags: NLM_F_DUMP })
  return {
    object: 'rule',
    list: 'rules',
    headerLength: ruleMessage.headerLength,
    view: message => new PolicyRule(message),
    // Several may have one priority: the kernel takes them in their order.
    ordered: true,
    key: it => `${it.family} ${it.priority ?? 0}`,
    // A scope is a family.
    scope: it => String(it.family),
    same: (a, b) => sameMessage(ruleMessage, a, b),
    wanted: it => it.family === 'inet' || it.family === 'inet6',
    // Of all families at once: a kernel without IPv6 refuses a request for its rules.
    readAll: () => [dump('unspec')],
    read: scope => [dump(scope as IpFamily)]
  }
}
