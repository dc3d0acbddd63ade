#pragma once

#include <cstddef>
#include <cstdint>

#include "forward/mac_table.h"
#include "forward/rules.h"

namespace linkwright {

/**
 * A learning switch: frames go where their destination was heard, and everywhere when it was not. Not to
 * where they came from, not between isolated ports, and not from addresses that belong elsewhere.
 */
class SwitchRules : public Rules {
 public:
  SwitchRules(size_t entries, uint32_t ageing) : table_(entries, ageing) {}

  std::unique_ptr<Route> NewRoute() override;
  void Forget(uint16_t number) override { table_.Forget(number); }

  MacTable& table() { return table_; }

 private:
  MacTable table_;
};

}  // namespace linkwright
