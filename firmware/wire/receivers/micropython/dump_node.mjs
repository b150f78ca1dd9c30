// dump_node.mjs: runs dump.py in MicroPython's build for Node. For tests.
//
//     node dump_node.mjs .../micropython.mjs acknowledge 0 0 < bytes
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [module, ...words] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(resolve(module)));
const here = dirname(fileURLToPath(import.meta.url));
let out = "";
const micropython = await loadMicroPython({ heapsize: 4 * 1024 * 1024 });
for (const name of ["pressel.py", "dump.py"]) {
  micropython.FS.writeFile("/" + name, readFileSync(join(here, name)));
}
micropython.FS.writeFile("/bytes", readFileSync(0));
micropython.registerJsModule("host", { words, put: (line) => { out += line + "\n"; } });
micropython.runPython(`
import sys
sys.path.append("/")
import host
from dump import dump
dump([str(word) for word in host.words], open("/bytes", "rb").read(), host.put)
`);
process.stdout.write(out);
