#pragma once

// Offloads in software: pure functions over the bytes of frames, for any thread.

#include "offload/checksum.h"
#include "offload/coalescer.h"
#include "offload/packet.h"
#include "offload/receiver.h"
#include "offload/segmenter.h"
#include "offload/vnet_header.h"
