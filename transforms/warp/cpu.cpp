// The extension `onewarp.transforms.warp._cpu`: the warp on CPUs, in CPython's stable ABI.
// Tensors come as addresses, which cpu.py has taken from them, and arrays by the buffer protocol. A request to warp is
// checked again in cpu_warp.h, the lengths of arrays in cpu_draws.h and cpu_philox.h.

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "cpu_copy.h"
#include "cpu_mapped.h"
#include "cpu_draws.h"
#include "cpu_masks.h"
#include "cpu_philox.h"
#include "cpu_warp.h"

namespace {

using Address = unsigned long long;

template <class T>
T* at(Address address) {
    return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

PyObject* warp(PyObject*, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"data",         "total", "pixel",     "offsets", "sizes",  "count",
                                  "homography",   "logit", "hue",       "table",   "colour", "erase",
                                  "erase_length", "out",   "height",    "width",   "number", "channels_last",
                                  "padding",      "fill",  "antialias", "threads", "isa",    nullptr};
    Address data, offsets, sizes, homography, logit, hue, table, colour, erase, out;
    long long total, count;
    int pixel, erase_length, height, width, number, channels_last, padding, antialias, threads;
    float red, green, blue;
    const char* isa;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$KLiKKLKKKKKKiKiiipi(fff)piz:warp", const_cast<char**>(names),
                                     &data, &total, &pixel, &offsets, &sizes, &count, &homography, &logit, &hue, &table,
                                     &colour, &erase, &erase_length, &out, &height, &width, &number, &channels_last,
                                     &padding, &red, &green, &blue, &antialias, &threads, &isa))
        return nullptr;
    const onewarp::InstructionSet* set = onewarp::instruction_set(isa);
    if (!set) return PyErr_Format(PyExc_ValueError, "this machine has no instruction set %s", isa);
    const onewarp::Request request = {at<const uint8_t>(data),
                                      total,
                                      pixel,
                                      at<const int64_t>(offsets),
                                      at<const int32_t>(sizes),
                                      count,
                                      at<const float>(homography),
                                      at<const float>(logit),
                                      at<const float>(hue),
                                      at<const float>(table),
                                      at<const float>(colour),
                                      at<const float>(erase),
                                      erase_length,
                                      at<void>(out),
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
    if (*refusal.text) {
        PyErr_SetString(PyExc_ValueError, refusal.text);
        return nullptr;
    }
    Py_RETURN_NONE;
}

PyObject* masks(PyObject*, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"masks", "sizes",   "count", "homography", "out",     "height", "width",
                                  "label", "padding", "fill",  "votes",      "threads", nullptr};
    Address addresses, sizes, homography, out;
    long long count, fill;
    int height, width, label, padding, votes, threads;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$KKLKKiiiiLpi:masks", const_cast<char**>(names), &addresses,
                                     &sizes, &count, &homography, &out, &height, &width, &label, &padding, &fill,
                                     &votes, &threads))
        return nullptr;
    const onewarp::MaskRequest request = {at<const int64_t>(addresses),
                                          at<const int32_t>(sizes),
                                          count,
                                          at<const float>(homography),
                                          at<void>(out),
                                          height,
                                          width,
                                          static_cast<onewarp::Label>(label),
                                          static_cast<onewarp::Padding>(padding),
                                          fill,
                                          votes != 0,
                                          threads};
    Py_BEGIN_ALLOW_THREADS;
    onewarp::warp_masks(request);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

// The memory of a contiguous array, null for None; held while this lives.
struct Array : Py_buffer {
    Array() : Py_buffer{} {}
    ~Array() { PyBuffer_Release(this); }
    template <class T>
    T* of() const {
        return static_cast<T*>(buf);
    }
    // Null where it is not a whole number of these.
    template <class T>
    onewarp::Block<T> block() const {
        const bool whole = len % static_cast<int64_t>(sizeof(T)) == 0 && reinterpret_cast<uintptr_t>(buf) % alignof(T) == 0;
        return {whole ? of<T>() : nullptr, whole ? len / static_cast<int64_t>(sizeof(T)) : -1};
    }
};

PyObject* refused(const char* text) {
    if (!text) Py_RETURN_NONE;
    PyErr_SetString(PyExc_ValueError, text);
    return nullptr;
}

PyObject* copy(PyObject*, PyObject* args) {
    Array target, source;
    if (!PyArg_ParseTuple(args, "w*y*:copy", &target, &source)) return nullptr;
    if (target.len != source.len)
        return PyErr_Format(PyExc_ValueError, "copying %zd bytes to %zd", source.len, target.len);
    Py_BEGIN_ALLOW_THREADS;
    onewarp::copy_past_caches(target.of<uint8_t>(), source.of<const uint8_t>(), static_cast<size_t>(target.len));
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
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
    const onewarp::Drawing drawing = {integers.block<const onewarp::Whole>(),
                                      floats.block<const onewarp::Real>(),
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
    text = onewarp::draw(drawing);
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
    unsigned long long address, length;
    if (!PyArg_ParseTuple(args, "KK:guard_map", &address, &length)) return nullptr;
    return PyLong_FromLong(onewarp::guard_range(static_cast<uintptr_t>(address), static_cast<uintptr_t>(address + length)));
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
     "Warp a batch given by addresses; ValueError says why it cannot be done."},
    {"masks", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(masks)), METH_VARARGS | METH_KEYWORDS,
     "Warp label masks given by addresses, or, without any, see which pixels show the source."},
    {"draw", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(draw)), METH_VARARGS | METH_KEYWORDS,
     "Draw and compose the parameters of a batch by a table."},
    {"copy", copy, METH_VARARGS, "copy(target, source): bytes copied past the caches."},
    {"guard_map", guard_map, METH_VARARGS, "guard_map(address, length): a number; pages that are lost read as zeros."},
    {"lost_pages", lost_pages, METH_VARARGS, "lost_pages(number): how many pages of a guarded map were lost."},
    {"release_map", release_map, METH_VARARGS, "release_map(number): the addresses are no longer guarded."},
    {"philox", philox, METH_VARARGS, "philox(counters, key word, key word, out): Philox4x32-10."},
    {"instruction_sets", instruction_sets, METH_NOARGS, "The instruction sets that this machine has, best first."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_cpu", "The warp in C++.", 0, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&module); }
