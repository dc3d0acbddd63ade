// Who has a TUN, TAP or macvtap open, for JavaScript.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "arguments.h"
#include "bindings.h"
#include "netns.h"
#include "process_scan.h"

namespace linkwright {
namespace {

HolderQuery ReadQuery(Arguments& arguments, const Napi::Object& from) {
  HolderQuery query;
  const Napi::Array names = arguments.Array(from.Get("names"), "names");
  for (uint32_t at = 0; !arguments.Failed() && at < names.Length(); ++at)
    query.names.push_back(arguments.Name(names.Get(at), "names"));
  const Napi::Array macvtaps = arguments.Array(from.Get("macvtaps"), "macvtaps");
  for (uint32_t at = 0; !arguments.Failed() && at < macvtaps.Length(); ++at) {
    const Napi::Object given = arguments.Object(macvtaps.Get(at), "macvtaps");
    HolderQuery::Macvtap macvtap;
    macvtap.name = arguments.Name(given.Get("name"), "name");
    macvtap.index = static_cast<unsigned int>(arguments.Integer(given.Get("index"), "index", 1, INT32_MAX));
    const Bytes address = arguments.Uint8Array(given.Get("address"), "address");
    if (address.length != macvtap.address.size()) {
      arguments.Reject("\"address\" must have 6 bytes");
    } else {
      // At once: the next getter may free them.
      std::copy_n(address.data, macvtap.address.size(), macvtap.address.begin());
    }
    query.macvtaps.push_back(std::move(macvtap));
  }
  query.excluded = arguments.Integers(from.Get("excluded"), "excluded");
  return query;
}

Napi::Value Present(Napi::Env env, const HolderScan& scan) {
  const Napi::Array processes = Napi::Array::New(env, scan.processes.size());
  for (uint32_t at = 0; at < scan.processes.size(); ++at) {
    Napi::Object process = Napi::Object::New(env);
    process.Set("pid", scan.processes[at].pid);
    process.Set("command", scan.processes[at].command);
    processes.Set(at, process);
  }
  auto holdings = Napi::Uint32Array::New(env, scan.holdings.size() * 2);
  for (size_t at = 0; at < scan.holdings.size(); ++at) {
    holdings[at * 2] = static_cast<uint32_t>(scan.holdings[at].link);
    holdings[at * 2 + 1] = static_cast<uint32_t>(scan.holdings[at].process);
  }
  auto unknown = Napi::Uint32Array::New(env, scan.unknown.size());
  for (size_t at = 0; at < scan.unknown.size(); ++at)
    unknown[at] = static_cast<uint32_t>(scan.unknown[at]);
  Napi::Object result = Napi::Object::New(env);
  result.Set("processes", processes);
  result.Set("holdings", holdings);
  result.Set("unknown", unknown);
  result.Set("inFlight", static_cast<double>(scan.in_flight));
  result.Set("incomplete", scan.incomplete);
  return result;
}

Napi::Value FindHoldersOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int number = arguments.Int(info[0], "netns");
  const Napi::Object from = arguments.Object(info[1], "query");
  const HolderQuery query = ReadQuery(arguments, from);
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return Environment::Of(info.Env())
      ->Async(
          [netns, query]() -> Result<HolderScan> {
            if (!*netns) return netns->failure;
            return FindHolders(netns->value, query);
          },
          [env = info.Env()](const HolderScan& scan) { return Present(env, scan); });
}

}  // namespace

void RegisterHolders(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<FindHoldersOf>(exports, "findHolders");
}

}  // namespace linkwright
