// The extension `onewarp.transforms.warp._cpu`: the warp on CPUs, in CPython's stable ABI.
// Memory comes by the buffer protocol alone, and is held as long as a call lasts; nothing comes as an address. What the
// lengths must be is compared in C++, where the sanitizers' test can call it: in cpu_warp.h, cpu_masks.h, cpu_draws.h,
// cpu_philox.h and cpu_copy.h.

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <vector>

#include "cpu_copy.h"
#include "cpu_mapped.h"
#include "cpu_draws.h"
#include "cpu_masks.h"
#include "cpu_philox.h"
#include "cpu_warp.h"

namespace {

// The memory of a contiguous array, null for None; held while this lives.
struct Array : Py_buffer {
    Array() : Py_buffer{} {}
    ~Array() { PyBuffer_Release(this); }
    // No length fits where it is not a whole number of these, or not aligned to them.
    template <class T>
    onewarp::Block<T> block() const {
        const bool whole =
            len % static_cast<int64_t>(sizeof(T)) == 0 && reinterpret_cast<uintptr_t>(buf) % alignof(T) == 0;
        return {whole ? static_cast<T*>(buf) : nullptr, whole ? len / static_cast<int64_t>(sizeof(T)) : -1};
    }
};

// The memory of each array of a sequence; held while this lives.
class Arrays {
    std::vector<Py_buffer> buffers;

  public:
    std::vector<onewarp::Block<const uint8_t>> blocks;

    Arrays() = default;
    Arrays(const Arrays&) = delete;
    ~Arrays() {
        for (Py_buffer& buffer : buffers) PyBuffer_Release(&buffer);
    }
    // False where one has no memory to be read: an exception is set.
    bool hold(PyObject* sequence) {
        const Py_ssize_t count = PySequence_Size(sequence);
        if (count < 0) return false;
        buffers.reserve(static_cast<size_t>(count)), blocks.reserve(static_cast<size_t>(count));
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject* array = PySequence_GetItem(sequence, i);
            if (!array) return false;
            Py_buffer buffer;
            const int failure = PyObject_GetBuffer(array, &buffer, PyBUF_SIMPLE);
            Py_DECREF(array);  // The buffer holds it.
            if (failure) return false;
            buffers.push_back(buffer);
            blocks.push_back({static_cast<const uint8_t*>(buffer.buf), buffer.len});
        }
        return true;
    }
};

// None, or a ValueError where there is a reason to refuse.
PyObject* refused(const char* text) {
    if (!text || !*text) Py_RETURN_NONE;
    PyErr_SetString(PyExc_ValueError, text);
    return nullptr;
}

PyObject* warp(PyObject*, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"data",          "pixel",   "offsets", "sizes",     "homography", "logit", "hue",
                                  "table",         "colour",  "erase",   "out",       "height",     "width", "number",
                                  "channels_last", "padding", "fill",    "antialias", "threads",    "isa",   nullptr};
    Array data, offsets, sizes, homography, logit, hue, table, colour, erase, out;
    int pixel, height, width, number, channels_last, padding, antialias, threads;
    float red, green, blue;
    const char* isa;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$y*iy*y*y*z*z*z*y*z*w*iiipi(fff)piz:warp",
                                     const_cast<char**>(names), &data, &pixel, &offsets, &sizes, &homography, &logit,
                                     &hue, &table, &colour, &erase, &out, &height, &width, &number, &channels_last,
                                     &padding, &red, &green, &blue, &antialias, &threads, &isa))
        return nullptr;
    const onewarp::InstructionSet* set = onewarp::instruction_set(isa);
    if (!set) return PyErr_Format(PyExc_ValueError, "this machine has no instruction set %s", isa);
    const onewarp::Request request = {data.block<const uint8_t>(),
                                      pixel,
                                      offsets.block<const int64_t>(),
                                      sizes.block<const int32_t>(),
                                      homography.block<const float>(),
                                      logit.block<const float>(),
                                      hue.block<const float>(),
                                      table.block<const float>(),
                                      colour.block<const float>(),
                                      erase.block<const float>(),
                                      out.block<uint8_t>(),
                                      height,
                                      width,
                                      static_cast<onewarp::Number>(number),
                                      channels_last != 0,
                                      static_cast<onewarp::Padding>(padding),
                                      {red, green, blue},
                                      antialias != 0,
                                      threads};
    onewarp::Refusal refusal;
    Py_BEGIN_ALLOW_THREADS;
    refusal = onewarp::warp(request, *set);
    Py_END_ALLOW_THREADS;
    return refused(refusal.text);
}

PyObject* masks(PyObject*, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"masks", "sizes",   "homography", "out",   "height",  "width",
                                  "label", "padding", "fill",       "votes", "threads", nullptr};
    PyObject* each;
    Array sizes, homography, out;
    Arrays labels;
    long long fill;
    int height, width, label, padding, votes, threads;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$Oy*y*w*iiiiLpi:masks", const_cast<char**>(names), &each, &sizes,
                                     &homography, &out, &height, &width, &label, &padding, &fill, &votes, &threads))
        return nullptr;
    if (each != Py_None && !labels.hold(each)) return nullptr;
    onewarp::Block<const onewarp::Block<const uint8_t>> blocks = {};
    if (each != Py_None) blocks = {labels.blocks.data(), static_cast<int64_t>(labels.blocks.size())};
    const onewarp::MaskRequest request = {blocks,
                                          sizes.block<const int32_t>(),
                                          homography.block<const float>(),
                                          out.block<uint8_t>(),
                                          height,
                                          width,
                                          static_cast<onewarp::Label>(label),
                                          static_cast<onewarp::Padding>(padding),
                                          fill,
                                          votes != 0,
                                          threads};
    onewarp::Refusal refusal;
    Py_BEGIN_ALLOW_THREADS;
    refusal = onewarp::warp_masks(request);
    Py_END_ALLOW_THREADS;
    return refused(refusal.text);
}

PyObject* copy(PyObject*, PyObject* args) {
    Array target, source;
    if (!PyArg_ParseTuple(args, "w*y*:copy", &target, &source)) return nullptr;
    const char* text;
    Py_BEGIN_ALLOW_THREADS;
    text = onewarp::copy_past_caches(target.block<uint8_t>(), source.block<const uint8_t>());
    Py_END_ALLOW_THREADS;
    return refused(text);
}

PyObject* philox(PyObject*, PyObject* args) {
    Array counters, out;
    unsigned int first, second;
    if (!PyArg_ParseTuple(args, "y*IIw*:philox", &counters, &first, &second, &out)) return nullptr;
    return refused(onewarp::philox(counters.block<const uint32_t>(), first, second, out.block<uint32_t>()));
}

PyObject* draw(PyObject*, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"integers", "floats", "sizes", "keys",   "stream", "size", "matrix",
                                  "logit",    "hue",    "table", "colour", "erase",  nullptr};
    Array integers, floats, sizes, keys, matrix, logit, hue, table, colour, erase;
    unsigned int first, second;
    double height, width;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*y*y*y*(II)(dd)w*|z*z*z*z*z*:draw", const_cast<char**>(names),
                                     &integers, &floats, &sizes, &keys, &first, &second, &height, &width, &matrix,
                                     &logit, &hue, &table, &colour, &erase))
        return nullptr;
    const onewarp::DrawRequest request = {integers.block<const onewarp::Op>(),
                                      floats.block<const onewarp::Operands>(),
                                      sizes.block<const double>(),
                                      keys.block<const uint64_t>(),
                                      first,
                                      second,
                                      height,
                                      width,
                                      matrix.block<double>(),
                                      logit.block<double>(),
                                      hue.block<double>(),
                                      table.block<double>(),
                                      colour.block<double>(),
                                      erase.block<double>()};
    const char* text;
    Py_BEGIN_ALLOW_THREADS;
    text = onewarp::draw(request);
    Py_END_ALLOW_THREADS;
    return refused(text);
}

PyObject* instruction_sets(PyObject*, PyObject*) {
    PyObject* names = PyList_New(0);
    for (const onewarp::InstructionSet& set : onewarp::instruction_sets()) {
        if (!names || !set.here) continue;
        PyObject* name = PyUnicode_FromString(set.name);
        if (!name || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

PyObject* guard_map(PyObject*, PyObject* args) {
    Array map;
    if (!PyArg_ParseTuple(args, "y*:guard_map", &map)) return nullptr;
    const auto begin = reinterpret_cast<uintptr_t>(map.buf);
    return PyLong_FromLong(onewarp::guard_range(begin, begin + static_cast<uintptr_t>(map.len)));
}

// The number of a guarded map among the arguments; -1 where there is none.
int guarded(PyObject* args) {
    int number;
    if (!PyArg_ParseTuple(args, "i", &number)) return -1;
    if (number >= 0 && number < onewarp::kMappedRanges) return number;
    PyErr_SetString(PyExc_ValueError, "not the number of a guarded map");
    return -1;
}

PyObject* lost_pages(PyObject*, PyObject* args) {
    const int number = guarded(args);
    return number < 0 ? nullptr : PyLong_FromUnsignedLongLong(onewarp::mapped_ranges[number].lost.load());
}

PyObject* release_map(PyObject*, PyObject* args) {
    const int number = guarded(args);
    if (number < 0) return nullptr;
    onewarp::release_range(number);
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"warp", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(warp)), METH_VARARGS | METH_KEYWORDS,
     "Warp a batch into `out`; ValueError says why it cannot be done."},
    {"masks", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(masks)), METH_VARARGS | METH_KEYWORDS,
     "Warp label masks into `out`, or, without any, which pixels show the source."},
    {"draw", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(draw)), METH_VARARGS | METH_KEYWORDS,
     "Draw and compose the parameters of a batch by a table."},
    {"copy", copy, METH_VARARGS, "copy(target, source): bytes copied past the caches."},
    {"guard_map", guard_map, METH_VARARGS, "guard_map(map): a number; pages of it that are lost read as zeros."},
    {"lost_pages", lost_pages, METH_VARARGS, "lost_pages(number): how many pages of a guarded map were lost."},
    {"release_map", release_map, METH_VARARGS, "release_map(number): the addresses are no longer guarded."},
    {"philox", philox, METH_VARARGS, "philox(counters, key word, key word, out): Philox4x32-10."},
    {"instruction_sets", instruction_sets, METH_NOARGS, "The instruction sets that this machine has, best first."},
    {nullptr, nullptr, 0, nullptr}};

// The checksum of the sources, by which native.py tells an extension that was built of others; setup.py defines it.
#ifndef ONEWARP_SOURCES
#define ONEWARP_SOURCES 0
#endif
int add_sources(PyObject* module) { return PyModule_AddIntConstant(module, "SOURCES", ONEWARP_SOURCES); }

PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(add_sources)}, {0, nullptr}};

PyModuleDef module = {PyModuleDef_HEAD_INIT, "_cpu", "The warp in C++.", 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&module); }
