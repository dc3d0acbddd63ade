/** The value at a fraction of the sorted samples, interpolated. */
export function quantile(samples, fraction) {
  const sorted = samples.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * fraction
  const below = Math.floor(position)
  const above = sorted[below + 1] ?? sorted[below]
  return sorted[below] + (above - sorted[below]) * (position - below)
}

export const median = samples => quantile(samples, 0.5)

export const interquartileRange = samples => quantile(samples, 0.75) - quantile(samples, 0.25)
