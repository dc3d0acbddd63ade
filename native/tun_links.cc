#include "tun_links.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <memory>

#include "connection.h"

namespace linkwright {
namespace {

// Of ifi_index in a request.
constexpr size_t kIndexAt = NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_index);

std::vector<uint8_t> RequestFor(const TunOptions& options, const TunDevice& device) {
  std::vector<uint8_t> request = options.link;
  const auto index = static_cast<int>(device.index);
  std::memcpy(request.data() + kIndexAt, &index, sizeof(index));
  return request;
}

}  // namespace

void SetLinks(const std::vector<TunOptions>& options, TunDevices* devices, Worker& worker) {
  std::vector<uint8_t> requests;
  std::vector<TunDevice*> asked;
  for (size_t i = 0; i < devices->size(); ++i) {
    Result<TunDevice>& device = (*devices)[i];
    if (!device || options[i].link.empty()) continue;
    const std::vector<uint8_t> request = RequestFor(options[i], device.value);
    requests.insert(requests.end(), request.begin(), request.end());
    asked.push_back(&device.value);
  }
  if (asked.empty()) return;
  const Result<std::unique_ptr<Connection>> connection = Connection::Open(NETLINK_ROUTE, 0);
  const ExchangePtr exchange = Exchange::Parse(requests.data(), requests.size(), Exchange::Kind::kBatch);
  if (!connection || !exchange || exchange->count() != asked.size()) return;
  connection.value->Push(exchange);
  std::vector<ExchangePtr> finished;
  while (connection.value->RunRound(worker, finished)) {
  }
  const Outcome outcome = exchange->TakeOutcome();
  for (size_t i = 0; i < asked.size(); ++i)
    asked[i]->link_status = outcome.status[i];
}

}  // namespace linkwright
