// Ports over sockets, for JavaScript.

#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "bindings.h"
#include "forward/packet_port.h"
#include "forward/port_object.h"
#include "forward/udp_port.h"
#include "forward/unix_datagram_port.h"
#include "forward/unix_stream_port.h"
#include "forward/vxlan_port.h"
#include "netns.h"
#include "unix_address.h"

namespace linkwright {
namespace {

constexpr int64_t kLargestVni = 0xffffff;
/** Ethernet header of the frame in the tunnel. */
constexpr int kInnerHeader = 14;

template <typename Opened>
struct Opening {
  std::shared_ptr<Port> port;
  Opened opened;
};

void ReadBuffers(Arguments& arguments, const Napi::Object& from, int* send_buffer, int* receive_buffer) {
  *send_buffer = static_cast<int>(arguments.Integer(from.Get("sendBuffer"), "sendBuffer", 0, INT32_MAX));
  *receive_buffer =
      static_cast<int>(arguments.Integer(from.Get("receiveBuffer"), "receiveBuffer", 0, INT32_MAX));
}

Endpoint ReadEndpoint(Arguments& arguments, const Napi::Object& from, const char* name) {
  const Napi::Object object = arguments.Object(from.Get(name), name);
  Endpoint endpoint;
  endpoint.address = arguments.Name(object.Get("address"), "address");
  endpoint.port = static_cast<uint16_t>(arguments.Integer(object.Get("port"), "port", 0, UINT16_MAX));
  return endpoint;
}

UdpOptions ReadUdpOptions(Arguments& arguments, const Napi::Object& from) {
  UdpOptions options;
  options.local = ReadEndpoint(arguments, from, "local");
  options.remote = ReadEndpoint(arguments, from, "remote");
  options.fragment = arguments.Bool(from.Get("fragment"), "fragment");
  options.reuse_port = arguments.Bool(from.Get("reusePort"), "reusePort");
  ReadBuffers(arguments, from, &options.send_buffer, &options.receive_buffer);
  return options;
}

/** What is left for IP packets in the tunnel, of those outside. */
int InnerMtu(const UdpSocket& socket, size_t header) {
  return socket.path_mtu - static_cast<int>(UdpOverhead(socket.remote.ipv6()) + header) - kInnerHeader;
}

struct OpenedTunnel {
  Endpoint local;
  int mtu = 0;
};

Napi::Value PresentTunnel(Environment* environment, Opening<OpenedTunnel> opening) {
  Napi::Object object = Napi::Object::New(environment->env());
  object.Set("port", PortObject::New(*environment, std::move(opening.port)));
  object.Set("localAddress", opening.opened.local.address);
  object.Set("localPort", opening.opened.local.port);
  object.Set("mtu", opening.opened.mtu);
  return object;
}

/** Opens a socket in a namespace, on a thread of the engine; `make` makes a port of it. */
template <typename Make>
Napi::Value OpenTunnel(const Napi::CallbackInfo& info, int number, const UdpOptions& options, Make make) {
  const auto environment = Environment::Of(info.Env());
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, options, make]() -> Result<Opening<OpenedTunnel>> {
        if (!*netns) return netns->failure;
        Result<UdpSocket> socket = netns->value.Run([&] { return OpenUdpSocket(options); });
        if (!socket) return socket.failure;
        return make(std::move(socket.value));
      },
      [environment = environment.get()](Opening<OpenedTunnel> opening) {
        return PresentTunnel(environment, std::move(opening));
      });
}

Napi::Value OpenUdpPort(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const int number = arguments.Int(from.Get("netns"), "netns");
  const UdpOptions options = ReadUdpOptions(arguments, from);
  if (arguments.Failed()) return {};
  return OpenTunnel(info, number, options, [](UdpSocket socket) {
    Opening<OpenedTunnel> opening{nullptr, {socket.local, InnerMtu(socket, 0)}};
    opening.port = std::make_shared<UdpPort>(std::move(socket));
    return opening;
  });
}

Napi::Value OpenVxlanPort(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const int number = arguments.Int(from.Get("netns"), "netns");
  UdpOptions options = ReadUdpOptions(arguments, from);
  const auto vni = static_cast<uint32_t>(arguments.Integer(from.Get("vni"), "vni", 0, kLargestVni));
  const auto wanted = static_cast<int>(arguments.Integer(from.Get("mtu"), "mtu", 0, UINT16_MAX));
  if (arguments.Failed()) return {};
  // A sender chooses its source port by the flow.
  options.connected = false;
  options.no_checksums = true;
  return OpenTunnel(info, number, options, [vni, wanted](UdpSocket socket) {
    const int mtu = wanted != 0 ? wanted : InnerMtu(socket, VxlanPort::kHeaderBytes);
    Opening<OpenedTunnel> opening{nullptr, {socket.local, mtu}};
    opening.port = std::make_shared<VxlanPort>(std::move(socket), vni, static_cast<size_t>(std::max(mtu, 0)));
    return opening;
  });
}

struct OpenedPacketPort {
  std::string name;
  unsigned int index = 0;
};

Napi::Value OpenPacketPort(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const int number = arguments.Int(from.Get("netns"), "netns");
  PacketOptions options;
  options.name = arguments.Name(from.Get("name"), "name");
  options.index = static_cast<unsigned int>(arguments.Integer(from.Get("index"), "index", 0, INT32_MAX));
  options.promiscuous = arguments.Bool(from.Get("promiscuous"), "promiscuous");
  options.qdisc_bypass = arguments.Bool(from.Get("qdiscBypass"), "qdiscBypass");
  const bool offload = arguments.Bool(from.Get("offload"), "offload");
  const bool uso = arguments.Bool(from.Get("uso"), "uso");
  ReadBuffers(arguments, from, &options.send_buffer, &options.receive_buffer);
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, options, offload, uso]() -> Result<Opening<OpenedPacketPort>> {
        if (!*netns) return netns->failure;
        Result<PacketSocket> socket = netns->value.Run([&] { return OpenPacketSocket(options); });
        if (!socket) return socket.failure;
        Opening<OpenedPacketPort> opening{nullptr, {socket.value.name, socket.value.index}};
        opening.port = std::make_shared<PacketPort>(std::move(socket.value), offload, uso);
        return opening;
      },
      [environment = environment.get()](Opening<OpenedPacketPort> opening) {
        Napi::Object object = Napi::Object::New(environment->env());
        object.Set("port", PortObject::New(*environment, std::move(opening.port)));
        object.Set("name", opening.opened.name);
        object.Set("index", opening.opened.index);
        return object;
      });
}

Napi::Value Throw(Napi::Env env, const Failure& failure) {
  SystemError(env, failure).ThrowAsJavaScriptException();
  return {};
}

Result<int> SocketOption(int fd, int option, const char* name) {
  int value = 0;
  socklen_t length = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, option, &value, &length) != 0)
    return LastFailure(std::string("getsockopt(") + name + ")");
  return value;
}

/** (fd, sendBuffer, receiveBuffer): takes over a connected Unix socket, unless it throws. */
Napi::Value AdoptUnixPort(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  const auto send_buffer = static_cast<int>(arguments.Integer(info[1], "sendBuffer", 0, INT32_MAX));
  const auto receive_buffer = static_cast<int>(arguments.Integer(info[2], "receiveBuffer", 0, INT32_MAX));
  if (environment->HasOwner(fd))
    arguments.Reject("descriptor " + std::to_string(fd) + " has an owner already");
  if (arguments.Failed()) return {};
  const Result<int> domain = SocketOption(fd, SO_DOMAIN, "SO_DOMAIN");
  if (!domain) return Throw(info.Env(), domain.failure);
  if (domain.value != AF_UNIX) return Throw(info.Env(), {EAFNOSUPPORT, "getsockopt(SO_DOMAIN)"});
  const Result<int> type = SocketOption(fd, SO_TYPE, "SO_TYPE");
  if (!type) return Throw(info.Env(), type.failure);
  if (type.value != SOCK_STREAM && type.value != SOCK_DGRAM)
    return Throw(info.Env(), {EPROTOTYPE, "getsockopt(SO_TYPE)"});
  sockaddr_storage peer{};
  socklen_t length = sizeof(peer);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return Throw(info.Env(), LastFailure("getpeername"));
  SetSocketBuffers(fd, send_buffer, receive_buffer);
  std::shared_ptr<Port> port;
  if (type.value == SOCK_STREAM) {
    port = std::make_shared<UnixStreamPort>(Fd(fd));
  } else {
    port = std::make_shared<UnixDatagramPort>(Fd(fd), "");
  }
  return PortObject::New(*environment, std::move(port));
}

/** (local, remote, sendBuffer, receiveBuffer): binds a datagram socket to a path. */
Napi::Value OpenUnixDatagramPort(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const std::string local = arguments.String(info[0], "local");
  const std::string remote = arguments.String(info[1], "remote");
  const auto send_buffer = static_cast<int>(arguments.Integer(info[2], "sendBuffer", 0, INT32_MAX));
  const auto receive_buffer = static_cast<int>(arguments.Integer(info[3], "receiveBuffer", 0, INT32_MAX));
  if (arguments.Failed()) return {};
  sockaddr_un address;
  if (FillUnixAddress(remote, &address) == 0) return Throw(info.Env(), {ENAMETOOLONG, "connect"});
  Result<Fd> bound = BindUnixDatagrams(local);
  if (!bound) return Throw(info.Env(), bound.failure);
  SetSocketBuffers(bound.value.get(), send_buffer, receive_buffer);
  return PortObject::New(*Environment::Of(info.Env()),
                         std::make_shared<UnixDatagramPort>(std::move(bound.value), remote));
}

/** (port): connects a datagram port to its remote again. False when the port is closed. */
Napi::Value ReconnectUnixPort(const Napi::CallbackInfo& info) {
  const PortObject* const object = PortObject::From(info[0]);
  if (object == nullptr) return {};
  const auto* const port = dynamic_cast<const UnixDatagramPort*>(object->port().get());
  // Where nobody is there yet, the next time will do.
  if (port != nullptr) (void)port->Connect();
  return Napi::Boolean::New(info.Env(), port != nullptr);
}

/** Slots of what socketPortFaults() writes. */
enum Fault { kMalformed, kForeign, kTooLong, kUnsegmented, kKernelDrops, kFaults };

/** (port, into): false, with nothing written, when the port is closed. */
Napi::Value SocketPortFaults(const Napi::CallbackInfo& info) {
  const PortObject* const object = PortObject::From(info[0]);
  if (object == nullptr) return {};
  const bool right = info[1].IsTypedArray() &&
                     info[1].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array &&
                     info[1].As<Napi::TypedArray>().ElementLength() >= kFaults;
  if (!right) {
    ArgumentError(info.Env(), "\"into\" must be a Float64Array of 5").ThrowAsJavaScriptException();
    return {};
  }
  const auto* const port = dynamic_cast<const SocketPort*>(object->port().get());
  if (port == nullptr) return Napi::Boolean::New(info.Env(), false);
  auto into = info[1].As<Napi::Float64Array>();
  const PortFaults& faults = port->faults();
  into[kMalformed] = static_cast<double>(faults.malformed);
  into[kForeign] = static_cast<double>(faults.foreign);
  into[kTooLong] = static_cast<double>(faults.too_long);
  into[kUnsegmented] = static_cast<double>(faults.unsegmented);
  into[kKernelDrops] = static_cast<double>(port->KernelDrops());
  return Napi::Boolean::New(info.Env(), true);
}

}  // namespace

void RegisterSocketPorts(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<OpenUdpPort>(exports, "openUdpPort");
  Export<OpenVxlanPort>(exports, "openVxlanPort");
  Export<OpenPacketPort>(exports, "openPacketPort");
  Export<AdoptUnixPort>(exports, "adoptUnixPort");
  Export<OpenUnixDatagramPort>(exports, "openUnixDatagramPort");
  Export<ReconnectUnixPort>(exports, "reconnectUnixPort");
  Export<SocketPortFaults>(exports, "socketPortFaults");
}

}  // namespace linkwright
