// Where three.js puts the joints of a BVH file: `node three_fk.mjs FOLDER clip.bvh SECONDS ...`, where FOLDER holds
// node_modules/three. Plays the file with BVHLoader and AnimationMixer and prints one JSON object: `seconds` (length
// of the clip), `warnings` (what three.js complained about), and per joint its `heads` (and, of joints with an end
// site, `tails`) at each of the given seconds, [x, y, z] in the file's own units and axes.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, file, ...times] = process.argv.slice(2);
const warnings = [];
console.warn = console.error = (...words) => warnings.push(words.join(" "));

const find = createRequire(join(resolve(folder), "x.js"));
const load = (name) => import(pathToFileURL(find.resolve(name)).href);
const THREE = await load("three/webgpu").catch(() => load("three"));
