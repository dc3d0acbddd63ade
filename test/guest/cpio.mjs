/** An initramfs is an archive in the "newc" format of cpio: a header in hexadecimal, the name, the bytes. */

const FILE = 0o100000
const FOLDER = 0o040000
const LINK = 0o120000

const pad4 = bytes => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])

function entry(inode, name, mode, data) {
  const path = Buffer.from(`${name}\0`)
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, path.length, 0]
  const header = `070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`
  return [pad4(Buffer.concat([Buffer.from(header), path])), pad4(data)]
}

/**
 * @param {Map<string, { data: Buffer | string, executable?: boolean } | { link: string } | 'folder'>} tree
 *   by path without a leading slash; the folders above a path are made
 * @returns {Buffer} the same bytes for the same tree
 */
export function cpio(tree) {
  const complete = new Map()
  for (const [path, node] of tree) {
    const parts = path.split('/')
    for (let i = 1; i < parts.length; i++) {
      const parent = parts.slice(0, i).join('/')
      if (!complete.has(parent)) complete.set(parent, tree.get(parent) ?? 'folder')
    }
    complete.set(path, node)
  }
  const chunks = []
  let inode = 1
  for (const [path, node] of complete) {
    if (node === 'folder') chunks.push(...entry(inode++, path, FOLDER | 0o755, Buffer.alloc(0)))
    else if ('link' in node) chunks.push(...entry(inode++, path, LINK | 0o777, Buffer.from(node.link)))
    else chunks.push(...entry(inode++, path, FILE | (node.executable ? 0o755 : 0o644), Buffer.from(node.data)))
  }
  chunks.push(...entry(0, 'TRAILER!!!', 0, Buffer.alloc(0)))
  return Buffer.concat(chunks)
}
