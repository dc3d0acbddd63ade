/*
 * UDP echo, and packets with numbers.
 *
 * serve PORT ADDRESS...: sends back what comes to each address, from it. Says "ready".
 * send PORT MICROSECONDS ADDRESS...: a packet each so many microseconds, to one address after the other, until its input
 * ends; then waits for the answers that are under way. Prints how many were sent, came back, and could not be sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 16, PACKETS = 1 << 20 };

static struct pollfd sockets[MAX + 1];
static unsigned char seen[PACKETS];

static socklen_t parse(const char *text, int port, struct sockaddr_storage *into) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)into;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)into;
  memset(into, 0, sizeof(*into));
  if (strchr(text, ':') != NULL) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    inet_pton(AF_INET6, text, &v6->sin6_addr);
    return sizeof(*v6);
  }
  v4->sin_family = AF_INET;
  v4->sin_port = htons((uint16_t)port);
  inet_pton(AF_INET, text, &v4->sin_addr);
  return sizeof(*v4);
}

static int open_socket(const char *address, int port, int connected) {
  struct sockaddr_storage name;
  const socklen_t length = parse(address, port, &name);
  const int buffer = 4 << 20;
  const int fd = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
  if ((connected ? connect : bind)(fd, (struct sockaddr *)&name, length) != 0) {
    fprintf(stderr, "%s: %s\n", address, strerror(errno));
    exit(1);
  }
  return fd;
}

static void serve(int count) {
  puts("ready");
  fflush(stdout);
  while (1) {
    if (poll(sockets, (nfds_t)count, -1) < 0) continue;
    for (int i = 0; i < count; ++i) {
      char packet[64];
      struct sockaddr_storage from;
      socklen_t length = sizeof(from);
      ssize_t bytes;
      while ((bytes = recvfrom(sockets[i].fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &length)) > 0)
        sendto(sockets[i].fd, packet, (size_t)bytes, 0, (struct sockaddr *)&from, length);
    }
  }
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint32_t receive(int count) {
  uint32_t fresh = 0;
  for (int i = 0; i < count; ++i) {
    uint32_t number;
    while (recv(sockets[i].fd, &number, sizeof(number), 0) == sizeof(number)) {
      if (number >= PACKETS) continue;
      if (!seen[number]) ++fresh;
      seen[number] = 1;
    }
  }
  return fresh;
}

/* Until every address has answered: neighbours are found then. */
static void warm_up(int count) {
  const uint32_t none = UINT32_MAX;
  for (int i = 0; i < count; ++i) {
    uint32_t answer;
    do {
      send(sockets[i].fd, &none, sizeof(none), 0);
      poll(&sockets[i], 1, 100);
    } while (recv(sockets[i].fd, &answer, sizeof(answer), 0) != sizeof(answer));
  }
}

static int send_all(int count, uint64_t interval) {
  warm_up(count);
  uint32_t sent = 0, received = 0, errors = 0;
  int error = 0, open = 1;
  uint64_t next = now(), end = 0;
  puts("ready");
  fflush(stdout);
  sockets[count] = (struct pollfd){.fd = 0, .events = POLLIN};
  while (open ? sent < PACKETS : received + errors < sent && now() < end) {
    const uint64_t time = now();
    if (open && time >= next) {
      const uint32_t number = sent++;
      if (send(sockets[number % (uint32_t)count].fd, &number, sizeof(number), 0) < 0) {
        ++errors;
        error = errno;
      }
      next += interval;
      /* A machine that slept owes nothing. */
      if (next + 100000 < time) next = time;
    }
    const struct timespec wait = {0, open && next > time ? (long)(next - time) * 1000 % 1000000000 : 1000000};
    ppoll(sockets, (nfds_t)(open ? count + 1 : count), &wait, NULL);
    received += receive(count);
    if (open && sockets[count].revents != 0) {
      open = 0;
      end = now() + 3000000;
    }
  }
  printf("{\"sent\":%u,\"received\":%u,\"errors\":%u,\"error\":\"%s\",\"missing\":[", sent, received, errors,
         error != 0 ? strerror(error) : "");
  for (uint32_t i = 0, first = 1; i < sent; ++i) {
    if (seen[i]) continue;
    printf("%s%u", first ? "" : ",", i);
    first = 0;
  }
  puts("]}");
  return 0;
}

int main(int argc, char **argv) {
  const int sends = argc > 1 && strcmp(argv[1], "send") == 0;
  const int first = sends ? 4 : 3;
  const int count = argc - first;
  if (argc < 2 || count < 1 || count > MAX) return 2;
  for (int i = 0; i < count; ++i)
    sockets[i] = (struct pollfd){.fd = open_socket(argv[first + i], atoi(argv[2]), sends), .events = POLLIN};
  if (sends) return send_all(count, (uint64_t)atoi(argv[3]));
  serve(count);
}
