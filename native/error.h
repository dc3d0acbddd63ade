#pragma once

#include <napi.h>

#include <string>

#include "result.h"

namespace linkwright {

/** Symbolic name of an errno ("EBUSY"); "E<number>" when it has none. */
std::string ErrnoName(int error);

/** An Error with `code`, negative `errno` and `syscall`, as Node's own have. */
Napi::Error SystemError(Napi::Env env, const Failure& failure);

/** A TypeError with `code`. */
Napi::TypeError ArgumentError(Napi::Env env, const std::string& message,
                              const char* code = "ERR_INVALID_ARG_TYPE");

}  // namespace linkwright
