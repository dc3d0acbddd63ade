// A learning switch between descriptors of TAPs.
#pragma once

void switch_loop(const int* ports, unsigned count);
