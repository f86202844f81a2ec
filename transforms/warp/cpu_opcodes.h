// Written by `python -m onewarp.transforms.warp.opcodes`, where each name is explained: do not edit.
#pragma once

#include <cstdint>

namespace onewarp {

enum class Opcode : int32_t {
    dihedral = 0,
    affine = 1,
    zoom = 2,
    perspective = 3,
    crop = 4,
    random_crop = 5,
    homography = 6,
    brightness = 7,
    factor = 8,
    channels = 9,
    hue = 10,
    gamma = 11,
    scale = 12,
    solarize = 13,
    posterize = 14,
    erase = 15,
    end = 16,
};

enum Flag : int32_t {
    kBatch = 1,
    kPicked = 2,
    kAtEnds = 4,
    kPower = 8,
    kTurns = 16,
    kPad = 32,
    kSquish = 64,
    kLogit = 128,
    kMix = 256,
};

// Columns of a row's whole numbers, and of its others.
constexpr int kOperation = 0, kFlags = 1, kWord = 2, kIndex = 3, kOf = 4, kSegment = 5, kFrame = 6, kGroup = 7, kIntegers = 8;
constexpr int kLow = 0, kSpan = 8, kChance = 16, kOther = 20, kFloats = 32;
constexpr double kLuma[3] = {0.2989, 0.587, 0.114};

}  // namespace onewarp
