#include "pattern.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "program.h"

void set_type(uint8_t* frame, unsigned type) {
  frame[12] = (uint8_t)(type >> 8);
  frame[13] = (uint8_t)type;
}

static void set_addresses(uint8_t* frame, unsigned destination, unsigned source) {
  const uint8_t addresses[12] = {2, 0, 0, 0, (uint8_t)(destination >> 8), (uint8_t)destination,
                                 2, 0, 0, 0, (uint8_t)(source >> 8),      (uint8_t)source};
  memcpy(frame, addresses, sizeof addresses);
}

static void mixed(uint8_t* frame, unsigned index, unsigned port, unsigned ports) {
  static const unsigned types[8] = {0x0800, 0x86dd, 0x0800, 0x0806, 0x0800, 0x86dd, 0x0800, TEST_TYPE};
  (void)port, (void)ports;
  set_addresses(frame, 0x100, 0x200);
  set_type(frame, types[index % 8]);
}

static void pairs(uint8_t* frame, unsigned index, unsigned port, unsigned ports) {
  (void)port, (void)ports;
  set_addresses(frame, 0x100 + index % 16, 0x200 + index / 16 % 16);
  set_type(frame, TEST_TYPE);
}

// Station s lives at port s modulo the ports.
static void learn(uint8_t* frame, unsigned index, unsigned port, unsigned ports) {
  set_addresses(frame, 0, 0x1000 + (index * ports + port) % STATIONS);
  memset(frame, 0xff, 6);
  set_type(frame, TEST_TYPE);
}

static void mesh(uint8_t* frame, unsigned index, unsigned port, unsigned ports) {
  unsigned stations = STATIONS / ports, other = (port + 1 + index % (ports - 1)) % ports;
  unsigned source = index * 7 % stations * ports + port;
  unsigned destination = index * 31 % stations * ports + other;
  set_addresses(frame, 0x1000 + destination, 0x1000 + source);
  set_type(frame, TEST_TYPE);
}

pattern find_pattern(const char* name) {
  static const struct {
    const char* name;
    pattern fill;
  } patterns[] = {{"mixed", mixed}, {"pairs", pairs}, {"learn", learn}, {"mesh", mesh}};
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    if (!strcmp(name, patterns[i].name)) return patterns[i].fill;
  die_of(EINVAL, name);
}
