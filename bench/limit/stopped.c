#include "stopped.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

enum { PATIENCE_SECONDS = 2, NAP_NANOSECONDS = 20000 };

// The state is the word behind the name, which ends with the last parenthesis.
static bool thread_stands(const char* tasks, const char* thread) {
  char path[320], status[512];
  snprintf(path, sizeof path, "%s/%s/stat", tasks, thread);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;  // it ended meanwhile
  ssize_t length = read(file, status, sizeof status - 1);
  close(file);
  if (length <= 0) return true;
  status[length] = 0;
  const char* name_end = strrchr(status, ')');
  return name_end && strchr("TtZX", name_end[2]);
}

static bool stands(pid_t process) {
  char tasks[32];
  snprintf(tasks, sizeof tasks, "/proc/%d/task", process);
  DIR* directory = opendir(tasks);
  if (!directory) die(tasks);
  bool all = true;
  const struct dirent* entry;
  while (all && (entry = readdir(directory)))
    all = entry->d_name[0] == '.' || thread_stands(tasks, entry->d_name);
  closedir(directory);
  return all;
}

void stop_process(pid_t process) {
  double end = now_seconds() + PATIENCE_SECONDS;
  if (kill(process, SIGSTOP)) die("SIGSTOP");
  while (!stands(process)) {
    if (now_seconds() > end) die_of(0, "the process does not stop");
    nanosleep(&(struct timespec){.tv_nsec = NAP_NANOSECONDS}, NULL);
  }
}

void continue_process(pid_t process) {
  if (kill(process, SIGCONT)) die("SIGCONT");
}
