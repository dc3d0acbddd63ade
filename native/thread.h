#pragma once

#include <functional>

namespace linkwright {

/** Starts a thread that nobody waits for. False when the system has none left. */
bool StartThread(std::function<void()> body);

/** Runs something on a thread of its own and waits for it. False when the system has none left. */
bool RunOnThread(std::function<void()> body);

}  // namespace linkwright
