// The extension `onewarp.transforms.warp._cpu`: the warp on CPUs, in CPython's stable ABI.
// Arrays come as addresses, which cpu.py has taken from tensors; what they say is checked again in cpu_warp.h.

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

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

PyObject* philox(PyObject*, PyObject* args) {
    Address counters, out;
    long long count;
    unsigned int first, second;
    if (!PyArg_ParseTuple(args, "KLIIK:philox", &counters, &count, &first, &second, &out)) return nullptr;
    for (long long i = 0; i < count; i++)
        onewarp::philox(at<const uint32_t>(counters) + 4 * i, first, second, at<uint32_t>(out) + 4 * i);
    Py_RETURN_NONE;
}

PyObject* draw(PyObject*, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"integers", "floats", "rows",   "sizes", "keys",   "first",
                                  "second",   "count",  "height", "width", "matrix", "logit",
                                  "hue",      "table",  "colour", "erase", nullptr};
    Address integers, floats, sizes, keys, matrix, logit, hue, table, colour, erase;
    long long rows, count;
    unsigned int first, second;
    int height, width;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$KKLKKIILiiKKKKKK:draw", const_cast<char**>(names), &integers,
                                     &floats, &rows, &sizes, &keys, &first, &second, &count, &height, &width, &matrix,
                                     &logit, &hue, &table, &colour, &erase))
        return nullptr;
    const onewarp::Drawing drawing = {at<const onewarp::Whole>(integers),
                                      at<const onewarp::Real>(floats),
                                      rows,
                                      at<const double>(sizes),
                                      at<const uint64_t>(keys),
                                      first,
                                      second,
                                      count,
                                      static_cast<double>(height),
                                      static_cast<double>(width),
                                      at<double>(matrix),
                                      at<double>(logit),
                                      at<double>(hue),
                                      at<double>(table),
                                      at<double>(colour),
                                      at<double>(erase)};
    Py_BEGIN_ALLOW_THREADS;
    onewarp::draw(drawing);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
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

PyMethodDef methods[] = {
    {"warp", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(warp)), METH_VARARGS | METH_KEYWORDS,
     "Warp a batch given by addresses; ValueError says why it cannot be done."},
    {"masks", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(masks)), METH_VARARGS | METH_KEYWORDS,
     "Warp label masks given by addresses, or, without any, see which pixels show the source."},
    {"draw", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(draw)), METH_VARARGS | METH_KEYWORDS,
     "Draw and compose the parameters of a batch by a table, all given by addresses."},
    {"philox", philox, METH_VARARGS, "philox(counters, count, key word, key word, out): Philox4x32-10, by addresses."},
    {"instruction_sets", instruction_sets, METH_NOARGS, "The instruction sets that this machine has, best first."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_cpu", "The warp in C++.", 0, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&module); }
