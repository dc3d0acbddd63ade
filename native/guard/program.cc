#include "program.h"

#include <cstring>
#include <utility>

namespace linkwright::guard {
namespace {

/** Reads numbers in the order of this machine; once it runs over the end, it stays failed. */
class Reader {
 public:
  Reader(const uint8_t* data, size_t length) : data_(data), left_(length) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return left_ == 0; }

  template <typename Number>
  Number Take() {
    Number number{};
    if (const uint8_t* const from = Advance(sizeof(number))) std::memcpy(&number, from, sizeof(number));
    return number;
  }

  /** A length, then as many bytes. */
  std::vector<uint8_t> TakeBytes() {
    const auto length = Take<uint32_t>();
    const uint8_t* const from = Advance(length);
    return from == nullptr ? std::vector<uint8_t>() : std::vector<uint8_t>(from, from + length);
  }

 private:
  const uint8_t* Advance(size_t bytes) {
    if (!ok_ || bytes > left_) {
      ok_ = false;
      return nullptr;
    }
    const uint8_t* const from = data_;
    data_ += bytes;
    left_ -= bytes;
    return from;
  }

  const uint8_t* data_;
  size_t left_;
  bool ok_ = true;
};

constexpr uint8_t kAtomic = 1;
constexpr uint8_t kBestEffort = 2;

bool TakeOperation(Reader& reader, Operation& operation) {
  operation.kind = static_cast<Operation::Kind>(reader.Take<uint8_t>());
  const auto flags = reader.Take<uint8_t>();
  operation.atomic = (flags & kAtomic) != 0;
  operation.best_effort = (flags & kBestEffort) != 0;
  operation.number = reader.Take<int32_t>();
  const auto settled = reader.Take<uint32_t>();
  for (uint32_t at = 0; at < settled && reader.ok(); ++at)
    operation.settled.push_back(reader.Take<int32_t>());
  const std::vector<uint8_t> path = reader.TakeBytes();
  operation.path.assign(path.begin(), path.end());
  operation.bytes = reader.TakeBytes();
  operation.id = reader.Take<int32_t>();
  operation.large = reader.Take<uint64_t>();
  return reader.ok() && operation.kind >= Operation::Kind::kNetlink &&
         operation.kind <= Operation::Kind::kAwaitLocal;
}

}  // namespace

bool ParseProgram(const uint8_t* data, size_t length, Program& program) {
  Reader reader(data, length);
  while (!reader.AtEnd()) {
    Operation operation;
    if (!TakeOperation(reader, operation)) return false;
    program.push_back(std::move(operation));
  }
  return true;
}

}  // namespace linkwright::guard
