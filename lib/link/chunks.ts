/** A row of anything in pieces: what is there already without waiting for each, what comes by and by as it comes. */
export async function* chunksOf<T>(
  all: Iterable<T> | AsyncIterable<T>,
  size: number
): AsyncGenerator<T[], void, undefined> {
  let chunk: T[] = []
  const isFull = (item: T) => chunk.push(item) === size
  const take = () => {
    const full = chunk
    chunk = []
    return full
  }
  if (Symbol.iterator in all) {
    for (const item of all) if (isFull(item)) yield take()
  } else {
    for await (const item of all) if (isFull(item)) yield take()
  }
  if (chunk.length > 0) yield take()
}
