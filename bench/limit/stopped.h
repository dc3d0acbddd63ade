// A process that is made to wait while its queues are filled.
#pragma once

#include <sys/types.h>

void stop_process(pid_t process);  // returns when all its threads stand still
void continue_process(pid_t process);
