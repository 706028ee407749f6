// Draws images/icon.png from images/icon.svg, with a Chromium: node scripts/icon.mjs [CHROMIUM]
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { chromium } from 'playwright-core';

const images = path.resolve(import.meta.dirname, '../images');
const browser = await chromium.launch({ executablePath: process.argv[2] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 256, height: 256 } });
await page.setContent(`<style>body { margin: 0 }</style>${readFileSync(path.join(images, 'icon.svg'), 'utf8')}`);
await page.screenshot({ path: path.join(images, 'icon.png'), omitBackground: true });
await browser.close();
