// The other writer of an inbox: it locks with npm's proper-lockfile, as Claude Code does, and knows no other lock.
//
// node proper-lockfile-writer.cjs PACKAGE INBOX NAME COUNT [hold]
//
// Prints a line for each message that it has written. With `hold` it prints "held" and keeps the lock until it is killed.
'use strict';

const fs = require('fs');
const [, , lockfileDir, inbox, name, count, hold] = process.argv;
const lockfile = require(lockfileDir);

// Claude Code's own gives up after 10 of these (2.1.330); here every message is to arrive.
const retries = { retries: 600, factor: 2, minTimeout: 5, maxTimeout: 100, randomize: true };

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
  const messages = JSON.parse(fs.readFileSync(inbox, 'utf8'));
  messages.push({ from: name, text, timestamp: new Date().toISOString(), read: false });
  const aside = `${inbox}.tmp.${process.pid.toString(16)}`;
  fs.writeFileSync(aside, JSON.stringify(messages, null, 2));
  fs.renameSync(aside, inbox);
  await release();
  console.log(text);
}

(async () => {
  for (let n = 0; n < Number(count); n++) await write(`${name} ${n}`);
})();
