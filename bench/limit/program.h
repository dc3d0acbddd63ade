// What every program here needs: an end with a reason, a clock, whole numbers as arguments.
#pragma once

_Noreturn void die(const char* what);                // for the reason in errno
_Noreturn void die_of(int error, const char* what);  // 0: no system call is to blame
double now_seconds(void);
unsigned number(const char* text);  // from 1 to ten million
