{
  "variables": { "sanitize%": "" },
  "targets": [
    {
      "target_name": "linkwright",
      "sources": ["<!@(find native -name '*.cc' -not -path 'native/guard/*' | sort)"],
      "include_dirs": ["native"],
      "defines": [
        "NAPI_VERSION=9",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      # As system headers: they do not pass -Wshadow.
      "cflags_cc": ["-isystem", "<!(node -p \"require('node-addon-api').include.slice(1, -1)\")", "-std=c++17", "-fvisibility=hidden", "-fno-exceptions", "-Wall", "-Wextra", "-Wshadow", "-Wno-unused-parameter"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      # Threads of the addon may outlive a worker's environment: the library is never unmapped.
      "ldflags": ["-Wl,-z,nodelete", "-Wl,-Bsymbolic"],
      "conditions": [
        ["sanitize!=''", {
          "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g", "-O0"],
          "ldflags": ["-fsanitize=<(sanitize)"]
        }]
      ]
    },
    {
      # The dead-man's switch is a process of its own, so an executable beside the addon.
      "target_name": "linkwright-guard",
      "type": "executable",
      "sources": ["<!@(find native/guard -name '*.cc' | sort)"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-Wall", "-Wextra", "-Wshadow"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      "ldflags!": ["-rdynamic"],
      "conditions": [
        ["sanitize!=''", {
          "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g", "-O0"],
          "ldflags": ["-fsanitize=<(sanitize)"]
        }]
      ]
    }
  ]
}
