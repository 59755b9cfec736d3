'use strict'

// `run.cjs NAME`: shows one behaviour; `run.cjs --names`: says which there are. Says "shown" at the end, and then has to
// end by itself: a behaviour that leaves something behind does not, and one whose wait does not keep the process alive ends
// without a word.

const { behaviours } = require('./behaviours.cjs')
const { cleanUp } = require('./support.cjs')

async function main() {
  try {
    const name = process.argv[2]
    if (name === '--names') console.log(Object.keys(behaviours).join('\n'))
    else await behaviours[name]()
    await cleanUp()
    console.log('shown')
  } catch (error) {
    console.log(`failed: ${error.message}`)
    console.error(error)
    await cleanUp().catch((problem) => console.error(problem))
    process.exit(1)
  }
}

main()
