import lock = require('@locket/native/proper-lockfile')

export = lock
