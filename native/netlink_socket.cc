#include "netlink_socket.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "fd.h"
#include "netns.h"

namespace linkwright {
namespace {

constexpr napi_type_tag kTypeTag = {0x6c696e6b77726967, 0x68742e736f636b31};

// Below this a copy is cheaper than a finalizer.
constexpr size_t kSmallestExternal = 4096;

Napi::Value ToArrayBuffer(Napi::Env env, Chunk chunk) {
  if (chunk.used >= kSmallestExternal) {
    napi_value value = nullptr;
    const auto free_memory = [](napi_env, void* data, void*) { std::free(data); };
    const napi_status status =
        napi_create_external_arraybuffer(env, chunk.data.get(), chunk.used, free_memory, nullptr, &value);
    if (status != napi_no_external_buffers_allowed) {
      // In an environment that is being terminated it may fail and free the memory nevertheless: better a
      // leak.
      (void)chunk.data.release();
      return {env, status == napi_ok ? value : nullptr};
    }
  }
  Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, chunk.used);
  if (!copy.IsEmpty()) std::memcpy(copy.Data(), chunk.data.get(), chunk.used);
  return copy;
}

Napi::Value ToUint16Array(Napi::Env env, const std::vector<uint16_t>& values) {
  Napi::Uint16Array array = Napi::Uint16Array::New(env, values.size());
  if (!array.IsEmpty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(uint16_t));
  return array;
}

Napi::Object ToObject(Napi::Env env, Outcome outcome) {
  Napi::Int32Array status = Napi::Int32Array::New(env, outcome.status.size());
  if (!status.IsEmpty())
    std::memcpy(status.Data(), outcome.status.data(), outcome.status.size() * sizeof(int32_t));
  Napi::Array replies = Napi::Array::New(env, outcome.replies.size());
  for (size_t i = 0; i < outcome.replies.size(); ++i) {
    replies.Set(static_cast<uint32_t>(i), ToArrayBuffer(env, std::move(outcome.replies[i])));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("firstSequence", outcome.first_sequence);
  object.Set("status", status);
  object.Set("replies", replies);
  object.Set("interrupted", outcome.interrupted);
  if (!outcome.attribute_index.empty()) object.Set("index", ToUint16Array(env, outcome.attribute_index));
  return object;
}

Napi::Value OpenNetlink(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const int protocol = arguments.Int(info[0], "protocol");
  const int number = arguments.Int(info[1], "netns");
  const int receive_buffer = arguments.Int(info[2], "receiveBuffer");
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, protocol, receive_buffer]() -> Result<std::unique_ptr<Connection>> {
        if (!*netns) return netns->failure;
        return netns->value.Run([&] { return Connection::Open(protocol, receive_buffer); });
      },
      [environment = environment.get()](std::unique_ptr<Connection> connection) {
        return NetlinkSocket::New(*environment, std::move(connection));
      });
}

Napi::Value AdoptNetlink(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  const auto environment = Environment::Of(info.Env());
  if (environment->HasOwner(fd))
    arguments.Reject("descriptor " + std::to_string(fd) + " has an owner already");
  if (arguments.Failed()) return {};
  Result<std::unique_ptr<Connection>> connection = Connection::Adopt(Fd(fd));
  if (!connection) {
    SystemError(info.Env(), connection.failure).ThrowAsJavaScriptException();
    return {};
  }
  return NetlinkSocket::New(*environment, std::move(connection.value), fd);
}

}  // namespace

Napi::Function NetlinkSocket::Define(Napi::Env env) {
  return DefineClass(env, "NetlinkSocket",
                     {
                         InstanceAccessor<&NetlinkSocket::PortId>("portId"),
                         InstanceAccessor<&NetlinkSocket::ReceiveBuffer>("receiveBuffer"),
                         InstanceMethod<&NetlinkSocket::SendExchange>("exchange"),
                         InstanceMethod<&NetlinkSocket::Dump>("dump"),
                         InstanceMethod<&NetlinkSocket::Cancel>("cancel"),
                         InstanceMethod<&NetlinkSocket::Close>("close"),
                     });
}

Napi::Value NetlinkSocket::New(Environment& environment, std::unique_ptr<Connection> connection,
                               int adopted) {
  const Napi::Object object = environment.classes.netlink_socket.New({});
  // Both fail in an environment that is being terminated.
  NetlinkSocket* const socket = object.IsEmpty() ? nullptr : Unwrap(object);
  if (socket == nullptr) return {};
  socket->port_id_ = connection->port_id();
  socket->receive_buffer_ = connection->receive_buffer();
  socket->connection_ = std::move(connection);
  socket->adopted_ = adopted;
  if (adopted >= 0) environment.descriptors.insert(adopted);
  ++environment.sockets;
  return object;
}

std::shared_ptr<Connection> NetlinkSocket::ConnectionOf(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    ArgumentError(env, "\"socket\" must be a netlink socket").ThrowAsJavaScriptException();
    return nullptr;
  }
  const NetlinkSocket* const socket = Unwrap(value.As<Napi::Object>());
  if (socket == nullptr) return nullptr;
  std::shared_ptr<Connection> connection = socket->connection_;
  if (connection == nullptr) SystemError(env, {EBADF, "netlink socket"}).ThrowAsJavaScriptException();
  return connection;
}

NetlinkSocket::NetlinkSocket(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::Of(info.Env())), calls_(std::make_shared<Calls>()) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  calls_->socket = this;
  environment_->Add(this);
}

NetlinkSocket::~NetlinkSocket() {
  Shutdown();
  environment_->Remove(this);
}

void NetlinkSocket::Shutdown() {
  // No promise is settled: either none is left, or there is no JavaScript to hear of it.
  calls_->by_id.clear();
  LetGo();
}

void NetlinkSocket::LetGo() {
  if (connection_ == nullptr) return;
  --environment_->sockets;
  if (adopted_ >= 0) environment_->descriptors.erase(adopted_);
  connection_->Close();
  // The last owner closes the descriptor, which may wait in the kernel (for tables that end with their
  // socket).
  environment_->engine().Run([connection = std::move(connection_)](Worker&) {});
}

void NetlinkSocket::Serve(const std::shared_ptr<Connection>& connection, const std::shared_ptr<Calls>& calls,
                          Worker& worker) {
  bool more = false;
  // On the same thread while nobody else waits: to wake another for each round costs more than its system
  // calls.
  do {
    std::vector<ExchangePtr> finished;
    more = connection->RunRound(worker, finished);
    for (const ExchangePtr& exchange : finished) {
      worker.engine().Deliver([calls, exchange] {
        // It may have been given up in the meantime, and the socket be gone.
        if (calls->by_id.count(exchange->id) != 0)
          calls->socket->Settle(exchange->id, exchange->TakeOutcome());
      });
    }
  } while (more && !worker.engine().HasWaiting());
  // A long batch leaves its turn to other sockets.
  if (more) worker.engine().Run([connection, calls](Worker& next) { Serve(connection, calls, next); });
}

Napi::Value NetlinkSocket::PortId(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), port_id_);
}

Napi::Value NetlinkSocket::ReceiveBuffer(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), receive_buffer_);
}

Napi::Value NetlinkSocket::SendExchange(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const bool atomic = arguments.Bool(info[1], "atomic");
  const bool keep_alive = arguments.Bool(info[2], "keepAlive");
  if (arguments.Failed()) return {};
  return Begin(info, info[0], atomic ? Exchange::Kind::kAtomic : Exchange::Kind::kBatch, keep_alive);
}

Napi::Value NetlinkSocket::Dump(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const bool keep_alive = arguments.Bool(info[1], "keepAlive");
  const int64_t attributes_at = arguments.Integer(info[2], "attributesAt", 0, UINT16_MAX);
  if (arguments.Failed()) return {};
  return Begin(info, info[0], Exchange::Kind::kDump, keep_alive, static_cast<size_t>(attributes_at));
}

Napi::Value NetlinkSocket::Begin(const Napi::CallbackInfo& info, const Napi::Value& requests,
                                 Exchange::Kind kind, bool keep_alive, size_t attributes_at) {
  const Napi::Env env = info.Env();
  Arguments arguments(env);
  const Bytes bytes = arguments.Uint8Array(requests, "requests");
  if (arguments.Failed()) return {};
  const ExchangePtr exchange = Exchange::Parse(bytes.data, bytes.length, kind);
  if (exchange == nullptr) {
    arguments.Reject(kind == Exchange::Kind::kDump
                         ? "\"request\" must be one whole netlink message with NLM_F_REQUEST and NLM_F_DUMP"
                         : "\"requests\" must be whole netlink messages");
    return {};
  }
  if (connection_ == nullptr) {
    SystemError(env, {EBADF, "netlink socket"}).ThrowAsJavaScriptException();
    return {};
  }

  const Deferred deferred(env);
  if (!deferred) return {};
  exchange->id = next_id_++;
  exchange->attributes_at = attributes_at;
  if (connection_->Push(exchange)) {
    const auto serve = [connection = connection_, calls = calls_](Worker& worker) {
      Serve(connection, calls, worker);
    };
    if (!environment_->engine().Run(serve)) {
      connection_->Cancel(*exchange);
      connection_->Unschedule();
      SystemError(env, {EAGAIN, "pthread_create"}).ThrowAsJavaScriptException();
      return {};
    }
  }
  // What is finished meanwhile is only delivered once JavaScript returns to the event loop.
  calls_->by_id.emplace(exchange->id, Call{exchange, deferred, keep_alive});
  environment_->Begin(keep_alive);
  Ref();
  Napi::Object pending = Napi::Object::New(env);
  pending.Set("id", exchange->id);
  pending.Set("result", deferred.Promise());
  return pending;
}

void NetlinkSocket::Settle(uint32_t id, Outcome outcome) {
  const auto found = calls_->by_id.find(id);
  const Call call = std::move(found->second);
  calls_->by_id.erase(found);
  environment_->End(call.keep_alive);
  Unref();
  call.deferred.Resolve(ToObject(Env(), std::move(outcome)));
}

void NetlinkSocket::GiveUp(uint32_t id) {
  const auto found = calls_->by_id.find(id);
  if (found != calls_->by_id.end()) Settle(id, connection_->Cancel(*found->second.exchange));
}

Napi::Value NetlinkSocket::Cancel(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int64_t id = arguments.Integer(info[0], "id", 0, UINT32_MAX);
  if (!arguments.Failed()) GiveUp(static_cast<uint32_t>(id));
  return info.Env().Undefined();
}

Napi::Value NetlinkSocket::Close(const Napi::CallbackInfo& info) {
  while (!calls_->by_id.empty())
    GiveUp(calls_->by_id.begin()->first);
  LetGo();
  return info.Env().Undefined();
}

void RegisterNetlinkSocket(const std::shared_ptr<Environment>& environment, Napi::Object exports) {
  environment->classes.netlink_socket = Napi::Persistent(NetlinkSocket::Define(environment->env()));
  Export<OpenNetlink>(exports, "openNetlink");
  Export<AdoptNetlink>(exports, "adoptNetlink");
}

}  // namespace linkwright
