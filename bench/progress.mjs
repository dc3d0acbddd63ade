// One line on stderr that is rewritten; silent when nobody watches.
const isWatched = process.stderr.isTTY

export function progress(text) {
  if (isWatched) process.stderr.write(`\r\x1b[K${text}`)
}

export function endProgress() {
  if (isWatched) process.stderr.write('\r\x1b[K')
}
