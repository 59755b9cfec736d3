import { lockFile } from '@locket/native'

export const dynamic = 'force-dynamic'

/** Tries the lock of a file, and keeps it. */
export async function GET() {
  return Response.json(await lockFile(process.env.LOCK_FILE).tryAcquire())
}
