#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "connection.h"
#include "environment.h"
#include "exchange.h"

namespace linkwright {

/** The JavaScript side of a connection: promises by exchange. */
class NetlinkSocket : public Napi::ObjectWrap<NetlinkSocket>, public Resource {
 public:
  static Napi::Function Define(Napi::Env env);
  /** Empty when JavaScript cannot run any more. @param adopted the descriptor if it was taken over */
  static Napi::Value New(Environment& environment, std::unique_ptr<Connection> connection, int adopted = -1);
  /** The connection of a socket of ours; null, and thrown, when it is something else or closed. */
  static std::shared_ptr<Connection> ConnectionOf(const Napi::Value& value);

  explicit NetlinkSocket(const Napi::CallbackInfo& info);
  ~NetlinkSocket() override;
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

  void Shutdown() override;

 private:
  struct Call {
    ExchangePtr exchange;
    Deferred deferred;
    bool keep_alive;
  };
  /** Shared with what is under way. As long as it holds a call, the socket is referenced and thus alive. */
  struct Calls {
    NetlinkSocket* socket;
    std::unordered_map<uint32_t, Call> by_id;
  };

  static void Serve(const std::shared_ptr<Connection>& connection, const std::shared_ptr<Calls>& calls,
                    Worker& worker);

  Napi::Value PortId(const Napi::CallbackInfo& info);
  Napi::Value ReceiveBuffer(const Napi::CallbackInfo& info);
  Napi::Value SendExchange(const Napi::CallbackInfo& info);
  Napi::Value Dump(const Napi::CallbackInfo& info);
  Napi::Value Cancel(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  Napi::Value Begin(const Napi::CallbackInfo& info, const Napi::Value& requests, Exchange::Kind kind,
                    bool keep_alive, size_t attributes_at = 0);
  void GiveUp(uint32_t id);
  void Settle(uint32_t id, Outcome outcome);
  void LetGo();

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Calls> calls_;
  uint32_t port_id_ = 0;
  int receive_buffer_ = 0;
  /** That was taken over, and is known as owned; -1 for a socket of our own. */
  int adopted_ = -1;
  uint32_t next_id_ = 1;
};

}  // namespace linkwright
