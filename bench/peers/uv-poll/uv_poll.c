// What the npm package tuntap does natively, in Node-API: a uv_poll handle, and one read() and one callback
// with a new Buffer for each time that the descriptor is readable.
//   poll(fd, callback)    write(fd, buffer)
#include <errno.h>
#include <node_api.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

enum { ROOM = 2048 };

struct poller {
  uv_poll_t handle;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  int fd;
  char buffer[ROOM];
};

static void on_readable(uv_poll_t* handle, int status, int events) {
  struct poller* poller = handle->data;
  ssize_t length = read(poller->fd, poller->buffer, ROOM);
  (void)status, (void)events;
  if (length <= 0) return;
  napi_handle_scope scope;
  napi_value callback, self, frame;
  napi_open_handle_scope(poller->env, &scope);
  napi_get_reference_value(poller->env, poller->callback, &callback);
  napi_get_global(poller->env, &self);
  napi_create_buffer_copy(poller->env, (size_t)length, poller->buffer, NULL, &frame);
  napi_make_callback(poller->env, poller->context, self, callback, 1, &frame, NULL);
  napi_close_handle_scope(poller->env, scope);
}

static napi_value start(napi_env env, napi_callback_info info) {
  napi_value arguments[2], name;
  size_t count = 2;
  uv_loop_t* loop;
  struct poller* poller = calloc(1, sizeof *poller);
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_get_value_int32(env, arguments[0], &poller->fd);
  napi_create_reference(env, arguments[1], 1, &poller->callback);
  napi_create_string_utf8(env, "poll", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &poller->context);
  napi_get_uv_event_loop(env, &loop);
  poller->env = env;
  poller->handle.data = poller;
  uv_poll_init(loop, &poller->handle, poller->fd);
  uv_poll_start(&poller->handle, UV_READABLE, on_readable);
  return NULL;
}

static napi_value write_frame(napi_env env, napi_callback_info info) {
  napi_value arguments[2], written;
  size_t count = 2, length;
  void* data;
  int fd;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_get_value_int32(env, arguments[0], &fd);
  napi_get_buffer_info(env, arguments[1], &data, &length);
  napi_create_int64(env, write(fd, data, length) < 0 ? -errno : (int64_t)length, &written);
  return written;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "poll", NAPI_AUTO_LENGTH, start, NULL, &function);
  napi_set_named_property(env, exports, "poll", function);
  napi_create_function(env, "write", NAPI_AUTO_LENGTH, write_frame, NULL, &function);
  napi_set_named_property(env, exports, "write", function);
  return exports;
}
