// The other writer of an inbox: it locks with npm's proper-lockfile, as Claude Code does, and knows no other lock.
//
// node proper-lockfile-writer.cjs PACKAGE INBOX NAME COUNT [hold]
//
// Prints each entry that it has written, a line each. With `hold` it prints "held" and keeps the lock until it is killed.
'use strict';

const fs = require('fs');
const [, , lockfileDir, inbox, name, count, hold] = process.argv;
const lockfile = require(lockfileDir);

// Claude Code's own gives up after 10 of these (2.1.330); here every message is to arrive.
const retries = { retries: 600, factor: 2, minTimeout: 5, maxTimeout: 100, randomize: true };

// What cannot be parsed counts as empty, as it does for Claude Code (2.1.330).
function read() {
  try {
    return JSON.parse(fs.readFileSync(inbox, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

async function write(text) {
  try {
    fs.writeFileSync(inbox, '[]', { flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const release = await lockfile.lock(inbox, { retries, stale: 10000 });
  if (hold) {
    console.log('held');
    return new Promise((resolve) => setInterval(() => {}, 1000));
  }
  // With fields that nobody else knows.
  const own = { '': null, n: 0.1, list: [{}, 'ü\u2028"\\'] };
  const entry = { from: name, text, timestamp: new Date().toISOString(), own, read: false };
  const aside = `${inbox}.tmp.${process.pid.toString(16)}`;
  fs.writeFileSync(aside, JSON.stringify([...read(), entry], null, 2));
  fs.renameSync(aside, inbox);
  await release();
  console.log(JSON.stringify(entry));
}

(async () => {
  for (let n = 0; n < Number(count); n++) await write(`${name} ${n}`);
})();
