#include "descriptors.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "arguments.h"
#include "bindings.h"

namespace linkwright {
namespace {

/** Another descriptor of the same open file, for the caller to own. */
Napi::Value DuplicateDescriptor(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  if (arguments.Failed()) return {};
  const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (duplicate < 0) {
    SystemError(info.Env(), LastFailure("fcntl(F_DUPFD_CLOEXEC)")).ThrowAsJavaScriptException();
    return {};
  }
  return Napi::Number::New(info.Env(), duplicate);
}

/** Descriptors that may be taken over: open, and nobody else's here. Throws when one is not. */
std::vector<int> Ownerless(Environment& environment, const Napi::Value& value) {
  Arguments arguments(environment.env());
  std::vector<int> fds = arguments.Integers(value, "fds");
  std::unordered_set<int> seen;
  for (const int fd : fds) {
    if (environment.HasOwner(fd) || !seen.insert(fd).second) {
      arguments.Reject("descriptor " + std::to_string(fd) + " has an owner already");
    } else if (::fcntl(fd, F_GETFD) < 0 && !arguments.Failed()) {
      SystemError(environment.env(), LastFailure("fcntl")).ThrowAsJavaScriptException();
    }
  }
  if (arguments.Failed()) fds.clear();
  return fds;
}

std::vector<Fd> Wrap(const std::vector<int>& numbers) {
  return std::vector<Fd>(numbers.begin(), numbers.end());
}

Napi::Value AdoptDescriptors(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  const std::vector<int> fds = Ownerless(*environment, info[0]);
  if (info.Env().IsExceptionPending()) return {};
  return Descriptors::New(*environment, Wrap(fds));
}

}  // namespace

Napi::Function Descriptors::Define(Napi::Env env) {
  return DefineClass(env, "Descriptors",
                     {
                         InstanceAccessor<&Descriptors::Fds>("fds"),
                         InstanceMethod<&Descriptors::Close>("close"),
                         InstanceMethod<&Descriptors::CloseOne>("closeOne"),
                         InstanceMethod<&Descriptors::Adopt>("adopt"),
                         InstanceMethod<&Descriptors::Release>("release"),
                     });
}

Napi::Value Descriptors::New(Environment& environment, std::vector<Fd> fds) {
  const Napi::Object object = environment.classes.descriptors.New({});
  // Both fail in an environment that is being terminated.
  Descriptors* const self = object.IsEmpty() ? nullptr : Unwrap(object);
  if (self == nullptr) {
    environment.closer().Close(std::move(fds), nullptr);
    return {};
  }
  self->Own(std::move(fds));
  return object;
}

Descriptors::Descriptors(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::Of(info.Env())) {
  environment_->Add(this);
}

Descriptors::~Descriptors() {
  Shutdown();
  environment_->Remove(this);
}

void Descriptors::Shutdown() {
  environment_->closer().Close(Disown(), nullptr);
}

void Descriptors::Own(std::vector<Fd> fds) {
  for (const Fd& fd : fds)
    environment_->descriptors.insert(fd.get());
  fds_.insert(fds_.end(), std::make_move_iterator(fds.begin()), std::make_move_iterator(fds.end()));
}

std::vector<Fd> Descriptors::Disown() {
  for (const Fd& fd : fds_)
    environment_->descriptors.erase(fd.get());
  return std::exchange(fds_, {});
}

Napi::Value Descriptors::CloseElsewhere(std::vector<Fd> fds) {
  const Deferred deferred(Env());
  Environment* const environment = environment_.get();
  environment->Begin(true);
  environment->closer().Close(std::move(fds), [environment, engine = environment->shared_engine(), deferred] {
    engine->Deliver([environment, deferred] {
      environment->End(true);
      deferred.Resolve(environment->env().Undefined());
    });
  });
  return deferred.Promise();
}

Napi::Value Descriptors::Fds(const Napi::CallbackInfo& info) {
  Napi::Array fds = Napi::Array::New(info.Env(), fds_.size());
  for (size_t i = 0; i < fds_.size(); ++i)
    fds.Set(static_cast<uint32_t>(i), fds_[i].get());
  return fds;
}

Napi::Value Descriptors::Close(const Napi::CallbackInfo& /*info*/) {
  return CloseElsewhere(Disown());
}

Napi::Value Descriptors::CloseOne(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  if (arguments.Failed()) return {};
  std::vector<Fd> closing;
  const auto found =
      std::find_if(fds_.begin(), fds_.end(), [fd](const Fd& owned) { return owned.get() == fd; });
  if (found != fds_.end()) {
    closing.push_back(std::move(*found));
    fds_.erase(found);
    environment_->descriptors.erase(fd);
  }
  return CloseElsewhere(std::move(closing));
}

Napi::Value Descriptors::Adopt(const Napi::CallbackInfo& info) {
  Own(Wrap(Ownerless(*environment_, info[0])));
  return info.Env().Undefined();
}

Napi::Value Descriptors::Release(const Napi::CallbackInfo& info) {
  const Napi::Value numbers = Fds(info);
  for (Fd& fd : fds_) {
    environment_->descriptors.erase(fd.get());
    (void)fd.Release();
  }
  fds_.clear();
  return numbers;
}

void RegisterDescriptors(const std::shared_ptr<Environment>& environment, Napi::Object exports) {
  environment->classes.descriptors = Napi::Persistent(Descriptors::Define(environment->env()));
  Export<AdoptDescriptors>(exports, "adoptDescriptors");
  Export<DuplicateDescriptor>(exports, "duplicateDescriptor");
}

}  // namespace linkwright
