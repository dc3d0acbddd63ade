#include "forward/forwarder_object.h"

#include <chrono>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "error.h"
#include "forward/pipe.h"
#include "thread.h"

namespace linkwright {
namespace {

constexpr int64_t kMostThreads = 1024;
constexpr int64_t kLongestTime = 3'600'000'000;
constexpr int64_t kMostEntries = 1 << 20;
constexpr int64_t kLargestMac = 0xffffffffffff;

const char* NameOf(PortEvent event) {
  switch (event) {
    case PortEvent::kUp:
      return "up";
    case PortEvent::kDown:
      return "down";
    case PortEvent::kMirrored:
      return "mirrored";
    default:
      return "gone";
  }
}

PortSettings ReadSettings(Arguments& arguments, const Napi::Value& value) {
  const Napi::Object from = arguments.Object(value, "settings");
  PortSettings settings;
  settings.paused = arguments.Bool(from.Get("paused"), "paused");
  settings.isolated = arguments.Bool(from.Get("isolated"), "isolated");
  settings.learning = arguments.Bool(from.Get("learning"), "learning");
  settings.flood =
      static_cast<uint8_t>(arguments.Integer(from.Get("flood"), "flood", 0, PortSettings::kFloodAll));
  settings.storm_limit =
      static_cast<uint32_t>(arguments.Integer(from.Get("stormLimit"), "stormLimit", 0, UINT32_MAX));
  return settings;
}

uint32_t ReadId(Arguments& arguments, const Napi::Value& value) {
  return static_cast<uint32_t>(arguments.Integer(value, "port", 0, UINT32_MAX));
}

uint64_t ReadMac(Arguments& arguments, const Napi::Value& value) {
  return static_cast<uint64_t>(arguments.Integer(value, "mac", 1, kLargestMac));
}

/** Memory of a typed array; null, with an exception thrown, where it is of another type or has not that much
 * room. */
template <typename T>
T* Room(Arguments& arguments, const Napi::Value& value, napi_typedarray_type wanted, const char* name,
        size_t elements) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  const bool right = status == napi_ok && type == wanted && length >= elements;
  if (!right)
    arguments.Reject("\"" + std::string(name) + "\" must be a typed array with room for " +
                     std::to_string(elements));
  return right ? static_cast<T*>(data) : nullptr;
}

/** Somewhere else than on the JavaScript thread: the end of a port may wait in the kernel. */
template <typename Remains>
void EndElsewhere(Remains remains) {
  StartThread([remains = std::move(remains)] {});
}

}  // namespace

Napi::Function ForwarderObject::Define(Napi::Env env) {
  return DefineClass(env, "Forwarder",
                     {
                         InstanceMethod<&ForwarderObject::AddPort>("addPort"),
                         InstanceMethod<&ForwarderObject::SetPorts>("setPorts"),
                         InstanceMethod<&ForwarderObject::SetMirror>("setMirror"),
                         InstanceMethod<&ForwarderObject::TakeMirrored>("takeMirrored"),
                         InstanceMethod<&ForwarderObject::RemovePort>("removePort"),
                         InstanceMethod<&ForwarderObject::Table>("table"),
                         InstanceMethod<&ForwarderObject::Fix>("fix"),
                         InstanceMethod<&ForwarderObject::Forget>("forget"),
                         InstanceMethod<&ForwarderObject::Flush>("flush"),
                         InstanceMethod<&ForwarderObject::SetAgeing>("setAgeing"),
                         InstanceMethod<&ForwarderObject::RefLoop>("ref"),
                         InstanceMethod<&ForwarderObject::UnrefLoop>("unref"),
                         InstanceMethod<&ForwarderObject::Close>("close"),
                     });
}

Napi::Value ForwarderObject::Create(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  const Napi::Function callback = arguments.Function(info[1], "callback");
  const bool switching = arguments.Bool(from.Get("switching"), "switching");
  Forwarder::Settings settings;
  settings.name = arguments.String(from.Get("name"), "name");
  settings.threads = static_cast<size_t>(arguments.Integer(from.Get("threads"), "threads", 1, kMostThreads));
  settings.busy_poll =
      std::chrono::microseconds(arguments.Integer(from.Get("busyPoll"), "busyPoll", 0, kLongestTime));
  settings.egress.patience =
      std::chrono::microseconds(arguments.Integer(from.Get("patience"), "patience", 0, kLongestTime));
  settings.egress.merge = arguments.Bool(from.Get("merge"), "merge");
  const auto entries =
      static_cast<size_t>(arguments.Integer(from.Get("entries"), "entries", 1, kMostEntries));
  const auto ageing = static_cast<uint32_t>(arguments.Integer(from.Get("ageing"), "ageing", 1, INT32_MAX));
  if (arguments.Failed()) return {};

  const Napi::Object object = environment->classes.forwarder.New({});
  // Both fail in an environment that is being terminated.
  ForwarderObject* const self = object.IsEmpty() ? nullptr : Unwrap(object);
  if (self == nullptr) return {};
  std::unique_ptr<Rules> rules;
  if (switching) {
    auto switch_rules = std::make_unique<SwitchRules>(entries, ageing);
    self->switch_ = switch_rules.get();
    rules = std::move(switch_rules);
  } else {
    rules = std::make_unique<PipeRules>();
  }
  self->forwarder_ = std::make_shared<Forwarder>(
      std::move(settings), std::move(rules),
      [engine = environment->shared_engine(), link = self->link_](uint32_t id, PortEvent event, int error) {
        engine->Deliver([link, id, event, error] {
          if (link->object != nullptr) link->object->OnPort(id, event, error);
        });
      });
  self->callback_ = Napi::Persistent(callback);
  self->KeepAlive(true);
  return object;
}

ForwarderObject::ForwarderObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::Of(info.Env())) {
  link_->object = this;
  environment_->Add(this);
}

ForwarderObject::~ForwarderObject() {
  Stop();
  ReleaseAll();
  link_->object = nullptr;
  environment_->Remove(this);
}

void ForwarderObject::Shutdown() {
  Stop();
  // Ports may have ended with the environment already: only the references to them are.
  held_.clear();
  ReleaseAll();
}

void ForwarderObject::Stop() {
  // The threads write to memory of JavaScript: they have to be gone before it is.
  if (forwarder_ != nullptr) EndElsewhere(forwarder_->Close(std::chrono::milliseconds(0)));
}

void ForwarderObject::KeepAlive(bool keep_alive) {
  if (keep_alive == keeping_alive_) return;
  keeping_alive_ = keep_alive;
  if (keep_alive) {
    environment_->Begin(true);
  } else {
    environment_->End(true);
  }
}

void ForwarderObject::OnPort(uint32_t id, PortEvent event, int error) {
  if (callback_.IsEmpty()) return;
  const Napi::Env env = environment_->env();
  callback_.Call(
      {Napi::Number::New(env, id), Napi::String::New(env, NameOf(event)), Napi::Number::New(env, -error)});
  if (env.IsExceptionPending()) {
    // As an exception in any other event handler: 'uncaughtException', or the end of the process.
    napi_fatal_exception(env, env.GetAndClearPendingException().Value());
  }
}

Napi::Value ForwarderObject::AddPort(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PortObject* const object = PortObject::From(info[0]);
  if (object == nullptr) return {};
  if (object->port() == nullptr || object->attached()) {
    SystemError(env, {object->attached() ? EBUSY : EBADF, "port"}).ThrowAsJavaScriptException();
    return {};
  }
  Arguments arguments(env);
  auto* const counters = Room<uint64_t>(arguments, info[1], napi_biguint64_array, "counters",
                                        PortCounters::Needed(object->port()->queues().size()));
  const PortSettings settings = ReadSettings(arguments, info[2]);
  if (arguments.Failed()) return {};
  auto mirror = std::make_shared<Mirror>();
  const Result<uint32_t> id = forwarder_->Add(object->port(), counters, mirror, settings);
  if (!id) {
    SystemError(env, id.failure).ThrowAsJavaScriptException();
    return {};
  }
  object->set_attached(true);
  held_[id.value] = {object,
                     Napi::Persistent(info[0].As<Napi::Object>()),
                     Napi::Reference<Napi::Value>::New(info[1], 1),
                     std::move(mirror),
                     {}};
  return Napi::Number::New(env, id.value);
}

Napi::Value ForwarderObject::SetPorts(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const Napi::Array rows = arguments.Array(info[0], "ports");
  std::vector<std::pair<uint32_t, PortSettings>> ports;
  for (uint32_t i = 0; !arguments.Failed() && i < rows.Length(); ++i) {
    const Napi::Array row = arguments.Array(rows.Get(i), "ports");
    const uint32_t id = ReadId(arguments, row.Get(0U));
    ports.emplace_back(id, ReadSettings(arguments, row.Get(1U)));
  }
  if (!arguments.Failed()) forwarder_->Set(ports);
  return info.Env().Undefined();
}

/** (port, snapLength): begins to copy what goes through a port, or ends that with 0. */
Napi::Value ForwarderObject::SetMirror(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const uint32_t id = ReadId(arguments, info[0]);
  const int64_t snap_length = arguments.Integer(info[1], "snapLength", 0, UINT32_MAX);
  const auto held = held_.find(id);
  if (arguments.Failed() || held == held_.end()) return info.Env().Undefined();
  if (snap_length == 0) {
    held->second.mirror->Stop();
    held->second.page = {};
  } else {
    held->second.mirror->Start(static_cast<size_t>(snap_length));
  }
  return info.Env().Undefined();
}

/**
 * (port, bytes, offsets, lengths, originalLengths, outbound, times): copies what the port's mirror holds into
 * memory with room for Mirror::kBytes and Mirror::kFrames. Gives the number of frames, and of those that were
 * lost behind them.
 */
Napi::Value ForwarderObject::TakeMirrored(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const uint32_t id = ReadId(arguments, info[0]);
  auto* const bytes = Room<uint8_t>(arguments, info[1], napi_uint8_array, "bytes", Mirror::kBytes);
  auto* const offsets = Room<uint32_t>(arguments, info[2], napi_uint32_array, "offsets", Mirror::kFrames);
  auto* const lengths = Room<uint32_t>(arguments, info[3], napi_uint32_array, "lengths", Mirror::kFrames);
  auto* const originals =
      Room<uint32_t>(arguments, info[4], napi_uint32_array, "originalLengths", Mirror::kFrames);
  auto* const outbound = Room<uint8_t>(arguments, info[5], napi_uint8_array, "outbound", Mirror::kFrames);
  auto* const times = Room<uint64_t>(arguments, info[6], napi_biguint64_array, "times", Mirror::kFrames);
  if (arguments.Failed()) return {};
  const auto held = held_.find(id);
  size_t frames = 0;
  uint64_t lost = 0;
  if (held != held_.end()) {
    Mirror::Page& page = held->second.page;
    held->second.mirror->Take(&page);
    if (page.used != 0) std::memcpy(bytes, page.memory.get(), page.used);
    for (const Mirror::Copy& copy : page.copies) {
      offsets[frames] = copy.offset;
      lengths[frames] = copy.length;
      originals[frames] = copy.original_length;
      outbound[frames] = copy.outbound ? 1 : 0;
      times[frames] = copy.time;
      ++frames;
    }
    lost = page.lost;
  }
  const Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0U, static_cast<double>(frames));
  result.Set(1U, static_cast<double>(lost));
  return result;
}

void ForwarderObject::ShowLast(uint32_t id) {
  const auto held = held_.find(id);
  if (held != held_.end() && held->second.mirror->on()) OnPort(id, PortEvent::kMirrored, 0);
}

void ForwarderObject::ShowLast() {
  std::vector<uint32_t> ids;
  for (const auto& [id, held] : held_)
    ids.push_back(id);
  for (const uint32_t id : ids)
    ShowLast(id);
}

Napi::Value ForwarderObject::RemovePort(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const uint32_t id = ReadId(arguments, info[0]);
  if (arguments.Failed()) return {};
  return environment_->Async(
      [forwarder = forwarder_, id]() -> Result<Nothing> {
        forwarder->Remove(id);
        return Nothing{};
      },
      [link = link_, env = info.Env(), id](Nothing) {
        if (link->object == nullptr) return env.Undefined();
        link->object->ShowLast(id);
        link->object->Release(id);
        return env.Undefined();
      });
}

Napi::Value ForwarderObject::Table(const Napi::CallbackInfo& info) {
  std::vector<double> rows;
  if (switch_ != nullptr) {
    for (const MacTable::Entry& entry : switch_->table().List(MacTable::Now())) {
      const uint32_t id = entry.port == MacTable::kOwn ? 0 : forwarder_->IdOf(entry.port);
      // Learned in the moment that its port was removed.
      if (id == 0 && entry.port != MacTable::kOwn) continue;
      rows.insert(rows.end(), {static_cast<double>(entry.mac), static_cast<double>(id),
                               entry.fixed ? 1.0 : 0.0, static_cast<double>(entry.age)});
    }
  }
  Napi::Float64Array array = Napi::Float64Array::New(info.Env(), rows.size());
  if (!array.IsEmpty()) std::copy(rows.begin(), rows.end(), array.Data());
  return array;
}

Napi::Value ForwarderObject::Fix(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const uint64_t mac = ReadMac(arguments, info[0]);
  const uint32_t id = ReadId(arguments, info[1]);
  if (arguments.Failed()) return {};
  const std::optional<uint16_t> number = id == 0 ? MacTable::kOwn : forwarder_->NumberOf(id);
  const bool fixed = switch_ != nullptr && number && switch_->table().Fix(mac, *number);
  return Napi::Boolean::New(info.Env(), fixed);
}

Napi::Value ForwarderObject::Forget(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const uint64_t mac = ReadMac(arguments, info[0]);
  if (arguments.Failed()) return {};
  return Napi::Boolean::New(info.Env(), switch_ != nullptr && switch_->table().Remove(mac));
}

Napi::Value ForwarderObject::Flush(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const uint32_t id = ReadId(arguments, info[0]);
  if (arguments.Failed()) return {};
  const std::optional<uint16_t> number = id == 0 ? MacTable::kNone : forwarder_->NumberOf(id);
  if (switch_ != nullptr && number) switch_->table().Flush(*number);
  return info.Env().Undefined();
}

Napi::Value ForwarderObject::SetAgeing(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int64_t seconds = arguments.Integer(info[0], "ageing", 1, INT32_MAX);
  if (!arguments.Failed() && switch_ != nullptr) switch_->table().set_ageing(static_cast<uint32_t>(seconds));
  return info.Env().Undefined();
}

Napi::Value ForwarderObject::RefLoop(const Napi::CallbackInfo& info) {
  if (!forwarder_->closed()) KeepAlive(true);
  return info.Env().Undefined();
}

Napi::Value ForwarderObject::UnrefLoop(const Napi::CallbackInfo& info) {
  KeepAlive(false);
  return info.Env().Undefined();
}

Napi::Value ForwarderObject::Close(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int64_t drain = arguments.Integer(info[0], "drain", 0, kLongestTime);
  if (arguments.Failed()) return {};
  KeepAlive(false);
  return environment_->Async(
      [forwarder = forwarder_, drain]() -> Result<Nothing> {
        forwarder->Close(std::chrono::milliseconds(drain));
        return Nothing{};
      },
      [link = link_, env = info.Env()](Nothing) {
        if (link->object == nullptr) return env.Undefined();
        link->object->ShowLast();
        link->object->ReleaseAll();
        return env.Undefined();
      });
}

void ForwarderObject::Release(uint32_t id) {
  const auto found = held_.find(id);
  if (found == held_.end()) return;
  found->second.object->set_attached(false);
  held_.erase(found);
}

void ForwarderObject::ReleaseAll() {
  while (!held_.empty())
    Release(held_.begin()->first);
  callback_.Reset();
  KeepAlive(false);
}

}  // namespace linkwright
