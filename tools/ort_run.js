// ort_run.js: runs every DIR/<name>.onnx in ONNX Runtime and compares output k with DIR/<name>_<k>.npy.
//
//     node tools/ort_run.js NODE_MODULES/onnxruntime-node DIR
//
// Inputs are read from DIR/<name>_in_<k>.npy. Where there are DIR/<name>@<set>_in_<k>.npy (batches of several
// sizes), every set is run, and its results are held to 1e-5 of the largest number of an output. Models with operators or types that the runtime has no
// kernel for are counted, not failed, and so are the few cases where the runtime refuses, or answers
// otherwise, what ONNX leaves open (below). Ends with status 1 when a number differs or a model is refused.
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require(path.resolve(process.argv[2]));
const folder = process.argv[3];

const kinds = {
  f4: ['float32', Float32Array], f8: ['float64', Float64Array], i1: ['int8', Int8Array], i2: ['int16', Int16Array],
  i4: ['int32', Int32Array], i8: ['int64', BigInt64Array], u1: ['uint8', Uint8Array], u2: ['uint16', Uint16Array],
  u4: ['uint32', Uint32Array], u8: ['uint64', BigUint64Array], b1: ['bool', Uint8Array], f2: ['float16', Uint16Array],
};

function readNpy(file) {
  const bytes = fs.readFileSync(file);
  const length = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + length);
  const [type, Kind] = kinds[/'descr': '[<|=](..)'/.exec(header)[1]];
  const dims = /'shape': \(([^)]*)\)/.exec(header)[1].split(',').filter(s => s.trim()).map(Number);
  const data = bytes.buffer.slice(bytes.byteOffset + 10 + length, bytes.byteOffset + bytes.length);
  return { type, dims, data: new Kind(data) };
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : mantissa * 2 ** -24);
}

// Integer division by zero (ours is 0), bf16 (JavaScript has no such array), Scan over no elements, pooling of no
// channels (it takes no samples, but no other axis of size 0), LRN but of pictures and odd sizes.
const openErrors = /division by zero|modulo by zero|Unsupported data type: 16|ort_value_tensor_slicer|Only N can be zero|lrn\.(cc|h):/i;
// The mean of nothing (ours is NaN as numpy's), negative powers of the integer 0 (ours is 0), what its transposed
// convolution of no channels leaves unwritten (conv_transpose_39; ours is the sum of nothing).
const openValues = new RegExp([/^(reduce_mean|pow)_\d+: element \d+ is (0|-\d+), expected (NaN|0)$/,
  /^conv_transpose_39: element \d+ is \S+, expected 0$/].map(r => r.source).join('|'));
// Its DFT of a length that is no power of 2 multiplies by angles in f32: off by 3e-6 of the largest number (ours
// by 5e-8, held against numpy's in f64). So the largest one is the measure, not each number.
const bySize = /^fft_\d+$/;
// It divides by the size of an empty array, and dies: of what is sorted, of a recurrent network's operands. In a file
// a tensor's dims (field 1) stand before its type (field 2).
function deadly(name, expected) {
  if (name.startsWith('top_k_')) return expected.data.length === 0;
  if (!/^(gru|lstm|rnn)_/.test(name)) return false;
  const bytes = fs.readFileSync(path.join(folder, name + '.onnx')).toString('latin1');
  return /\x08\0(?:\x08[^])*\x10[\x01\x0b]/.test(bytes);
}

// The last state of a sequence of length 0, in a batch with initial states: ours is the first state, which no step has
// changed; that of its RNN, LSTM and GRU is 0, not that of a Scan, which some samples are written as. Of these rows
// alone (no step was taken: all of y, output 0, is 0) 0 is what is expected; returns how many this changes.
function takeNoSteps(name, k, y, state) {
  if (!/^(rnn|lstm|gru)_\d+$/.test(name) || k === 0 || state.type !== 'float32') return 0;
  const bytes = fs.readFileSync(path.join(folder, name + '.onnx')).toString('latin1');
  if (!/\x22[\x03\x04](RNN|LSTM|GRU)/.test(bytes)) return 0; // op_type, field 4
  const [directions, batch, units] = state.dims, steps = y.data.length / batch;
  let rows = 0;
  for (let n = 0; n < batch; n++) {
    if (y.data.subarray(n * steps, (n + 1) * steps).some(v => v !== 0)) continue;
    for (let d = 0; d < directions; d++) {
      const row = state.data.subarray((d * batch + n) * units, (d * batch + n + 1) * units);
      if (row.some(v => v !== 0)) rows++;
      row.fill(0);
    }
  }
  return rows;
}

// What is added up in another order is off by as much in small numbers as in large ones.
function scaleOf(expected) {
  let largest = 0;
  for (const v of expected.data) largest = Math.max(largest, Math.abs(Number(v)));
  return largest;
}

function difference(expected, got, limit) {
  if (String(expected.dims) !== String(got.dims)) return `shape [${got.dims}], expected [${expected.dims}]`;
  const data = got.data;
  for (let i = 0; i < expected.data.length; i++) {
    let a = expected.data[i], b = data[i];
    if (expected.type === 'float16') a = half(a), b = data instanceof Uint16Array ? half(b) : Number(b);
    if (typeof a === 'bigint') { if (BigInt(a) !== BigInt(b)) return `element ${i} is ${b}, expected ${a}`; continue; }
    a = Number(a); b = Number(b);
    if (Number.isNaN(a) && Number.isNaN(b)) continue;
    if (!(a === b || Math.abs(a - b) <= (limit ?? 1e-5 + 1e-4 * Math.abs(a)))) return `element ${i} is ${b}, expected ${a}`;
  }
  return null;
}

async function main() {
  const files = fs.readdirSync(folder);
  const names = files.filter(f => f.endsWith('.onnx')).map(f => f.slice(0, -5)).sort();
  const only = process.argv[4];
  let equal = 0, bad = 0, open = 0;
  const missing = {};
  for (const name of names) {
    if (only && !name.startsWith(only)) continue;
    try {
      const first = path.join(folder, name + '_0.npy');
      if (fs.existsSync(first) && deadly(name, readNpy(first))) { open++; continue; }
      const session = await ort.InferenceSession.create(path.join(folder, name + '.onnx'),
        { logSeverityLevel: 4, graphOptimizationLevel: 'disabled', intraOpNumThreads: 1 });
      const start = `${name}@`, end = '_in_0.npy';
      const sets = files.filter(f => f.startsWith(start) && f.endsWith(end)).map(f => f.slice(0, -end.length));
      let wrong = null, stepless = 0;
      for (const set of sets.length ? sets : [name]) {
        const feeds = {};
        session.inputNames.forEach((input, k) => {
          const t = readNpy(path.join(folder, `${set}_in_${k}.npy`));
          feeds[input] = new ort.Tensor(t.type, t.data, t.dims);
        });
        const results = await session.run(feeds);
        session.outputNames.forEach((output, k) => {
          const expected = readNpy(path.join(folder, `${set}_${k}.npy`));
          stepless += takeNoSteps(name, k, readNpy(path.join(folder, `${set}_0.npy`)), expected);
          const text = difference(expected, results[output],
            set === name && !bySize.test(name) ? undefined : 1e-5 * scaleOf(expected));
          if (text) wrong = wrong || (set === name ? text : `${set}, ${output}: ${text}`);
        });
      }
      if (!wrong && !stepless) equal++;
      else if (!wrong) open++;
      else if (openValues.test(`${name}: ${wrong}`)) open++;
      else { bad++; console.log(`${name}: ${wrong}`); }
    } catch (error) {
      const text = String(error.message || error);
      if (/NOT_IMPLEMENTED|Could not find an implementation|not supported/i.test(text)) {
        const op = name.replace(/_\d+$/, '');
        missing[op] = (missing[op] || 0) + 1;
      } else if (openErrors.test(text)) open++;
      else { bad++; console.log(`${name}: ${text.slice(0, 300)}`); }
    }
  }
  const list = Object.entries(missing).map(([op, n]) => `${op} ${n}`).join(', ');
  console.log(`${equal} equal, ${bad} wrong, ${open} that ONNX leaves open; no kernel in ONNX Runtime: ${list || 'none'}`);
  process.exit(bad ? 1 : 0);
}
main();
