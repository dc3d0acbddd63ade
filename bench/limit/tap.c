#include "tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#include "program.h"

#ifndef TUN_F_USO4  // Linux 6.2
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

int tap_open(const char* name, enum tap_mode mode) {
  int fd = open("/dev/net/tun", O_RDWR | (mode == TAP_BLOCKING ? 0 : O_NONBLOCK));
  if (fd < 0) die("/dev/net/tun");
  struct ifreq request = {0};
  request.ifr_flags = IFF_TAP | IFF_NO_PI | (mode == TAP_OFFLOADS ? IFF_VNET_HDR : 0);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request)) die(name);
  if (mode == TAP_OFFLOADS) {
    unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    // A kernel before 6.2 takes TCP only.
    if (ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) && ioctl(fd, TUNSETOFFLOAD, tcp))
      die("TUNSETOFFLOAD");
  }
  return fd;
}
