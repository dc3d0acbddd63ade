/**
 * What Node loads first under the sanitizers (test/sanitize.mjs): their libraries are Node's alone. Other programs that
 * the tests start are not ours to judge; a Node that they start is sanitized again, whatever its environment and user.
 */
delete process.env.LD_PRELOAD
process.execPath = require('node:path').join(__dirname, '../../node')
