/** Native netlink for Node.js: bridges, macvtap in every mode, TAP and macvtap descriptors. */
import './host/netlink-verbs.js'
import './rtnetlink/actions/index.js'
import './rtnetlink/filters/index.js'
import './rtnetlink/kinds/index.js'
import './rtnetlink/qdiscs/index.js'

export type { ByteSource } from './capture/byte-source.js'
export { Capture, type CaptureCounters, type CaptureOptions } from './capture/capture.js'
export type {
  CapturedInterface,
  FrameDetails,
  InterfaceCounters,
  InterfaceOptions
} from './capture/captured-interface.js'
export type { RecordedInterface } from './capture/decoder.js'
export { LINKTYPE, type LinkTypeName } from './capture/link-types.js'
export { type CapturedPacket, readCapture } from './capture/read.js'
export { ReplayCounters, type ReplayOptions, replay } from './capture/replay.js'
export type { ChildExit } from './child.js'
export { ip, ipv4, ipv6, mac } from './codec/addresses.js'
export type {
  AttributeEntry,
  AttributeOptions,
  AttributesCodec,
  AttributeTable,
  Change,
  In,
  Out,
  UnknownAttribute
} from './codec/attributes.js'
export { AttributesView, attributes, choice, listOf } from './codec/attributes.js'
export type { AnyCodec, Codec, Located } from './codec/codec.js'
export { bitset, enumeration, maskedBits } from './codec/enumeration.js'
export { be16, be32, be64, bool, bool32, flag, s8, s16, s32, s64, u8, u16, u32, u64 } from './codec/integers.js'
export { type MessageSchema, message, type Schema } from './codec/message.js'
export { bytes, string } from './codec/strings.js'
export type { StructCodec } from './codec/struct.js'
export { arrayOf, padding, struct } from './codec/struct.js'
export type { Writer } from './codec/writer.js'
export type { Descriptors } from './descriptors.js'
export { LinkwrightError, type LinkwrightErrorDetails } from './errors.js'
export { changeText } from './firewall/change-text.js'
export type { Change as NftChange } from './firewall/changes.js'
export type { Family as NftFamily } from './firewall/dependencies.js'
export type { Element as NftElement } from './firewall/elements.js'
export type { ListFilter as NftFilter, RuleFilter as NftRuleFilter } from './firewall/listing.js'
export { nft } from './firewall/nft.js'
export { type HookedChain as NftHookedChain, Nftables } from './firewall/nftables.js'
export type {
  Chain as NftChain,
  ChainSpec as NftChainSpec,
  NftSet,
  Rule as NftRule,
  RuleSpec as NftRuleSpec,
  Ruleset as NftRuleset,
  SetSpec as NftSetSpec,
  Table as NftTable,
  TableSpec as NftTableSpec
} from './firewall/objects.js'
export { isSameRule } from './firewall/same.js'
export type { Statement as NftStatement } from './firewall/statements.js'
export { ruleText } from './firewall/text.js'
export type {
  TransactionOptions as NftTransactionOptions,
  TransactionResult as NftTransactionResult
} from './firewall/transaction.js'
export type { PortOptions, PortSource } from './forward/attachment.js'
export type { Drops, PortCounters, PortCounts } from './forward/counters.js'
export { ForwardedPort, type PortEvents, type PortState } from './forward/forwarded-port.js'
export type { CloseOptions, ForwardOptions, PortGiven } from './forward/forwarder.js'
export { PacketPort, type PacketPortOptions } from './forward/packet-port.js'
export { Pipe, type PipeOptions } from './forward/pipe.js'
export { Port } from './forward/port.js'
export { type BufferOptions, SocketPort, type SocketPortFaults, type SocketPortOptions } from './forward/socket-port.js'
export {
  type Flooding,
  type Station,
  Switch,
  type SwitchOptions,
  SwitchPort,
  type SwitchPortOptions,
  type SwitchPortSettings
} from './forward/switch.js'
export type { TunnelOptions, UdpEndpoint } from './forward/udp-endpoints.js'
export { UdpPort, type UdpPortOptions } from './forward/udp-port.js'
export {
  type UnixDatagramOptions,
  type UnixListenOptions,
  UnixPort,
  type UnixPortOptions
} from './forward/unix-port.js'
export { VxlanPort, type VxlanPortOptions } from './forward/vxlan-port.js'
export { type BatchOptions as FrameBatchOptions, FrameBatch } from './frames/batch.js'
export type { FrameCounters } from './frames/counters.js'
export type { FrameDirection, Layer, Mirror, Mirrored, MirroredFrames } from './frames/mirror.js'
export {
  completeChecksums,
  mergeFrames,
  type OffloadOptions,
  type Progress,
  type ReceiverOffloads,
  segmentFrames
} from './frames/offload.js'
export { ipv4Number, ipv4Text, macAt, macNumber, macText } from './frames/packet/addresses.js'
export { ArpView } from './frames/packet/arp.js'
export { internetChecksum, updatedChecksum } from './frames/packet/checksum.js'
export { EthernetView, etherType } from './frames/packet/ethernet.js'
export { IcmpView } from './frames/packet/icmp.js'
export { Ipv4View } from './frames/packet/ipv4.js'
export { Ipv6View } from './frames/packet/ipv6.js'
export { ETHERTYPE, IPPROTO, TCP_FLAG } from './frames/packet/numbers.js'
export { PacketView } from './frames/packet/packet.js'
export { TcpView } from './frames/packet/tcp.js'
export { UdpView } from './frames/packet/udp.js'
export { DROP, FLOOD, FrameQueue, type FramesOptions, REFUSED } from './frames/queue.js'
export { frameStream, frameWebStreams } from './frames/streams.js'
export { type GsoType, VNET_HEADER_SIZE, VnetHeader } from './frames/vnet-header.js'
export { diagnose } from './host/diagnosis/diagnose.js'
export type { DiagnoseOptions, Diagnosis } from './host/diagnosis/diagnosis.js'
export { Dnsmasq, type DnsmasqEvents } from './host/dnsmasq/dnsmasq.js'
export type { LeaseEvent, LeaseWatchOptions } from './host/dnsmasq/lease-watch.js'
export type { Lease } from './host/dnsmasq/leases.js'
export type {
  AddressRange,
  Dhcp4Options,
  Dhcp6Options,
  DnsmasqOptions,
  DnsOptions,
  HostRecord,
  Reservation,
  RestartOptions,
  UpstreamServer
} from './host/dnsmasq/options.js'
export type { ServerExit } from './host/dnsmasq/server.js'
export type { Duration } from './host/duration.js'
export type { Finding as PlanFinding } from './host/finding.js'
export type { Restoration, RestoreReason } from './host/guard.js'
export type { GuestPortSpec, GuestPortSpecs, PortAntiSpoofing } from './host/network/guest-ports/spec.js'
export { type GuestMacvtapOptions, type GuestTapOptions, Network } from './host/network/network.js'
export { type PlanNetworksOptions, planNetworks } from './host/network/plan-networks.js'
export type {
  BridgeNetwork,
  BridgeSettings,
  DirectNetwork,
  IsolatedNetwork,
  NatNetwork,
  NetworkKind,
  NetworkServices,
  NetworkSpec,
  NetworksSpec,
  RoutedNetwork,
  StaticRoute
} from './host/network/spec.js'
export type { ApplyOptions, Plan, PlanProgress } from './host/plan.js'
export { type AnnounceOptions, announce } from './host/port/announce.js'
export type { AntiSpoofing } from './host/port/anti-spoofing/options.js'
export type { GuestCounters } from './host/port/guest-counters.js'
export { type GuestPort, GuestPorts, type RemovedOrphans } from './host/port/guest-ports.js'
export { type GenerateMacOptions, generateMac, hostSideMac } from './host/port/mac.js'
export type { GuestPortSettings } from './host/port/settings.js'
export type { PortVlans } from './host/port/vlans.js'
export type { Probe as PlanProbe } from './host/probing.js'
export { SavedPlan } from './host/saved-plan.js'
export type { PlanStatus } from './host/saved-state.js'
export { planTakeover, type TakeoverOptions } from './host/takeover/takeover.js'
export { type AddAddress, Address, type Addresses, type AddressFilter } from './link/addresses.js'
export type { Bandwidth, BandwidthOptions, BandwidthPlan } from './link/bandwidth/bandwidth.js'
export type { BandwidthLimit, BandwidthLimits } from './link/bandwidth/limits.js'
export { type AddClass, type Classes, type ClassPlace, TrafficClass } from './link/classes.js'
export type { CounterOptions, LinkCounters } from './link/counters.js'
export type { EnsureLink, EnsureOptions } from './link/ensure/options.js'
export type { EnsurePlan } from './link/ensure/plan.js'
export type { EnsureAction, EnsureStep } from './link/ensure/steps.js'
export type { EnsureChange } from './link/ensure/wishes.js'
export { type AddFdbEntry, type Fdb, FdbEntry, type FdbFilter } from './link/fdb.js'
export { type AddFilter, Filter, type FilterPlace, type Filters } from './link/filters.js'
export type { Holder, LinkHolders } from './link/holders.js'
export { Link, type LinkOfKind, type LinkRef } from './link/link.js'
export type {
  BridgePortSettings,
  ChangeLink,
  ChangeOptions,
  CreateLink,
  LinkSettings,
  VethPeer
} from './link/link-options.js'
export type { CreateManyOptions, DeleteManyOptions, Links, ListOptions } from './link/links.js'
export { type AddNeighbour, Neighbour, type NeighbourFilter, type Neighbours } from './link/neighbours.js'
export { Netlink } from './link/netlink.js'
export type { KeptLink, RemovedOwned, RemoveOwnedOptions } from './link/owned.js'
export { type AddQdisc, Qdisc, type QdiscPlace, type Qdiscs } from './link/qdiscs.js'
export { type AddRoute, Route, type RouteFilter, type RouteNexthop, type Routes } from './link/routes.js'
export { type AddRule, PolicyRule, type Rules } from './link/rules.js'
export type { WaitOptions } from './link/wait.js'
export type {
  Asked,
  IndexInterest,
  LinkInterest,
  RouteInterest,
  WatchChange,
  WatchEvent,
  WatchedLists,
  WatchedObject,
  WatchedObjects,
  WatchInterest,
  WatchOptions,
  WatchResync,
  WatchSnapshot
} from './link/watch/events.js'
export type { Watch } from './link/watch/watch.js'
export type { Message, Payload } from './netlink/framing.js'
export type { Protocol } from './netlink/protocol.js'
export { encodeRequest, type Request } from './netlink/request.js'
export {
  type BatchOptions,
  type BatchResult,
  type CallOptions,
  NetlinkSocket,
  type SocketOptions
} from './netlink/socket.js'
export type { TracedMessage } from './netlink/trace.js'
export type { NetnsRef } from './netns.js'
export { type Finding, type Probe, probe } from './probe.js'
export { addressMessage } from './rtnetlink/address.js'
export type { IpFamily } from './rtnetlink/family.js'
export { linkMessage } from './rtnetlink/link.js'
export {
  type KindChange,
  type KindName,
  type KindOptions,
  type KindView,
  type LinkKind,
  type LinkKinds,
  linkKind
} from './rtnetlink/link-kind.js'
export { neighbourMessage } from './rtnetlink/neighbour.js'
export { Nexthop, type NexthopIn, routeMessage } from './rtnetlink/route.js'
export { ruleMessage } from './rtnetlink/rule.js'
export { statisticsMessage } from './rtnetlink/statistics.js'
export {
  type ActionKinds,
  actionKind,
  type ClassKinds,
  classKind,
  type FilterKinds,
  filterKind,
  type QdiscKinds,
  qdiscKind,
  type TcKind
} from './rtnetlink/tc-kind.js'
export type { Duration as TcDuration, Rate, Size } from './rtnetlink/tc-units.js'
export { classMessage, filterMessage, qdiscMessage } from './rtnetlink/traffic-control.js'
export { RTM, rtnetlink } from './rtnetlink/verbs.js'
export { closeOnSignals } from './tap/close-on-signals.js'
export { FdServer, FdSocket, type Received, receiveFds, type SignalOptions, sendFds } from './tap/fd-socket.js'
export { Macvtap, type MacvtapOptions, type MacvtapSpec } from './tap/macvtap.js'
export { type OffloadFinding, type OffloadProbe, type ProbedOffload, probeOffloads } from './tap/offload-probe.js'
export type { OpenManyOptions } from './tap/open-many.js'
export type { QueueDescription } from './tap/queue-device.js'
export type { OffloadPreset, Offloads, QueueOptions } from './tap/queue-options.js'
export { Tap, type TapOptions } from './tap/tap.js'
export { type TakeSettings, TapPool, type TapPoolOptions } from './tap/tap-pool.js'
export { Tun } from './tap/tun.js'
export type { TunOptions } from './tap/tun-options.js'
export { openVhostNet } from './tap/vhost.js'
