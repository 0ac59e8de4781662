// Expects GET /allowed to be let in and GET /denied to be refused, and waits until the pod, its bundle and the Service are there.
const wanted = { '/allowed': 200, '/denied': 403 };
const target = process.env.TARGET;
const end = Date.now() + 1000 * Number(process.env.PATIENCE_SECONDS);

const ask = (path) =>
  // A new connection each time: one that was opened before the Service had rules may lead elsewhere.
  fetch(target + path, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5000) }).then(
    (response) => response.status,
    (error) => (error.cause ?? error).code ?? error.name,
  );

const main = async () => {
  for (;;) {
    const seen = {};
    for (const path of Object.keys(wanted)) seen[path] = await ask(path);
    const isDone = Object.keys(wanted).every((path) => seen[path] === wanted[path]);
    process.stdout.write(`${JSON.stringify(seen)}\n`);
    if (isDone) return 0;
    if (Date.now() >= end) {
      process.stderr.write(`expected ${JSON.stringify(wanted)}\n`);
      return 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
};

void main().then((code) => process.exit(code));
