/*
 * Loaded into an agent before its own file: its clock shows the time that the parent process sends, in Unix milliseconds, and goes on from there.
 */
const actual = Date.now;
let shiftMs = 0;
Date.now = () => actual() + shiftMs;
process.on('message', (nowMs) => {
  shiftMs = nowMs - actual();
  process.send(nowMs);
});
