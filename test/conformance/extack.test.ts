/** The numbers of extended acknowledgements, taken from the kernel's headers. */
import { beforeAll, describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import { createRequest } from '../../lib/link/link-requests.js'
import { requestError } from '../../lib/netlink/extack.js'
import { dataView, messagesIn } from '../../lib/netlink/framing.js'
import { attr, nlmsg, s32, text, u32, u64 } from '../support/fake-kernel.js'
import { compilerMissing, constants, enumOf } from '../support/headers.js'

const missing = compilerMissing()

describe.skipIf(missing)(`extended acknowledgements${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let number: (name: string) => number
  const request = createRequest({ kind: 'ifb', name: 'x', mtu: 7 }, false)
  const mtu = Buffer.from(request.bytes).indexOf(attr(4, u32(7)))

  beforeAll(() => {
    const names = ['NLMSGERR_ATTR_MSG', 'NL_POLICY_TYPE_ATTR_TYPE', 'NL_ATTR_TYPE_U8'].flatMap(enumOf)
    const known = constants([...names, 'NLM_F_ACK_TLVS', 'NLM_F_CAPPED', 'NLMSG_ERROR'])
    number = name => {
      const value = known.get(name)
      if (value === undefined) throw new Error(`the headers have no ${name}`)
      return value
    }
  })

  function errorWith(...tlvs: Buffer[]) {
    const flags = number('NLM_F_ACK_TLVS') | number('NLM_F_CAPPED')
    const echo = Buffer.from(request.bytes.subarray(0, 16))
    const bytes = nlmsg(number('NLMSG_ERROR'), flags, 1, s32(-22), echo, ...tlvs)
    return requestError(request, -22, [...messagesIn(dataView(bytes))][0], undefined)
  }

  it('the attributes', () => {
    const policy = (name: string, payload: Buffer) => attr(number(`NL_POLICY_TYPE_ATTR_${name}`), payload)
    const error = errorWith(
      attr(number('NLMSGERR_ATTR_MSG'), text('words')),
      attr(number('NLMSGERR_ATTR_OFFS'), u32(mtu)),
      attr(
        number('NLMSGERR_ATTR_POLICY'),
        policy('TYPE', u32(number('NL_ATTR_TYPE_U32'))),
        policy('MIN_VALUE_U', u64(1n)),
        policy('MAX_VALUE_U', u64(2n)),
        policy('MIN_LENGTH', u32(3)),
        policy('MAX_LENGTH', u32(4)),
        policy('MASK', u64(5n))
      )
    )
    expect(error).toMatchObject({
      extack: 'words',
      path: 'mtu',
      allowed: 'a value of type u32 from 1 to 2 of at least 3 bytes of at most 4 bytes within the mask 0x5'
    })
  })

  it('signed ranges and bit fields', () => {
    const policy = (name: string, payload: Buffer) => attr(number(`NL_POLICY_TYPE_ATTR_${name}`), payload)
    const allowed = (...tlvs: Buffer[]) => errorWith(attr(number('NLMSGERR_ATTR_POLICY'), ...tlvs)).allowed
    expect(allowed(policy('MIN_VALUE_S', u64(2n ** 64n - 1n)), policy('MAX_VALUE_S', u64(1n)))).toBe('from -1 to 1')
    expect(allowed(policy('BITFIELD32_MASK', u32(6)))).toBe('within the mask 0x6')
  })

  it('what is missing', () => {
    expect(errorWith(attr(number('NLMSGERR_ATTR_MISS_TYPE'), u32(5))).path).toBe('link')
    const linkinfo = Buffer.from(request.bytes).indexOf('ifb') - 8
    const error = errorWith(
      attr(number('NLMSGERR_ATTR_MISS_TYPE'), u32(2)),
      attr(number('NLMSGERR_ATTR_MISS_NEST'), u32(linkinfo))
    )
    expect(error.path).toBe('linkinfo.data')
  })

  it('every type of a policy', () => {
    const names: Record<string, string> = { NUL_STRING: 'NUL-terminated string', NESTED_ARRAY: 'nested array' }
    for (const name of enumOf('NL_ATTR_TYPE_U8')) {
      if (name.startsWith('__')) continue
      const type = name.replace('NL_ATTR_TYPE_', '')
      const tlv = attr(number('NL_POLICY_TYPE_ATTR_TYPE'), u32(number(name)))
      const { allowed } = errorWith(attr(number('NLMSGERR_ATTR_POLICY'), tlv))
      expect(allowed).toBe(`a value of type ${names[type] ?? type.toLowerCase()}`)
    }
  })
})
