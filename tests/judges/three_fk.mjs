// Where three.js puts the joints of a BVH file: `node three_fk.mjs FOLDER clip.bvh SECONDS ...`, where FOLDER holds
// node_modules/three. Plays the file with BVHLoader and AnimationMixer and prints one JSON object: `seconds` (length
// of the clip), `complaints` (what three.js wrote to the console), and per joint its `heads` (and, of joints with an
// end site, `tails`) at each of the given seconds, [x, y, z] in the file's own units and axes.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, file, ...times] = process.argv.slice(2);
const complaints = [];
console.warn = console.error = (...words) => complaints.push(words.filter((w) => typeof w === "string").join(" "));

const load = (path) => import(pathToFileURL(resolve(folder, "node_modules/three", path)).href);
const { AnimationMixer, Group, LoopOnce, REVISION, Vector3 } = await load("build/three.module.js");
const { BVHLoader } = await load("examples/jsm/loaders/BVHLoader.js");

const { skeleton, clip } = new BVHLoader().parse(readFileSync(file, "utf8"));
const scene = new Group();
scene.add(skeleton.bones[0]);
const mixer = new AnimationMixer(scene);
const action = mixer.clipAction(clip).setLoop(LoopOnce);
action.clampWhenFinished = true;
action.play();

const heads = {};
const tails = {};
for (const time of times.map(Number)) {
	action.paused = false; // a clip that has reached its end stays there
	mixer.setTime(time);
	scene.updateMatrixWorld(true);
	for (const bone of skeleton.bones) {
		const tip = bone.name === "ENDSITE" && bone.children.length === 0;
		const list = ((tip ? tails : heads)[tip ? bone.parent.name : bone.name] ??= []);
		list.push(new Vector3().setFromMatrixPosition(bone.matrixWorld).toArray());
	}
}
console.log(JSON.stringify({ revision: REVISION, seconds: clip.duration, complaints, heads, tails }));
