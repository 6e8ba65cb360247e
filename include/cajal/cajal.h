/* cajal.h: everything. A program that wants less includes the header it uses; each stands alone and
 * is the manual of its part:
 *
 *     base.h     context, statuses, messages         data.h     data sets, splits, loaders
 *     tensor.h   values                              nn.h       models, layers, losses, optimizers
 *     graph.h    graphs and their gradients          train.h    fit, evaluate, predict, save, load
 *     run.h      programs and sessions               io.h       .npy, .npz, safetensors
 *     op.h       operators of your own               recipe.h   recipes; option.h: named options
 *     augment.h  pictures changed at random          image.h    resizing, sampling, pixel shuffle
 *     sequence.h attention, caches for decoding      signal.h   Fourier transforms, windows, mel
 *     picture.h  pictures in files and their sizes   zoo.h      the classic networks
 *     detect.h   boxes in pictures, detections      draw.h     boxes, masks, letters, sheets */
#ifndef CAJAL_CAJAL_H
#define CAJAL_CAJAL_H

#include <cajal/augment.h>
#include <cajal/base.h>
#include <cajal/conv.h>
#include <cajal/data.h>
#include <cajal/detect.h>
#include <cajal/draw.h>
#include <cajal/graph.h>
#include <cajal/image.h>
#include <cajal/io.h>
#include <cajal/layers.h>
#include <cajal/layers_augment.h>
#include <cajal/nn.h>
#include <cajal/norm.h>
#include <cajal/op.h>
#include <cajal/option.h>
#include <cajal/picture.h>
#include <cajal/pool.h>
#include <cajal/recipe.h>
#include <cajal/recurrent.h>
#include <cajal/run.h>
#include <cajal/sequence.h>
#include <cajal/signal.h>
#include <cajal/tensor.h>
#include <cajal/train.h>
#include <cajal/zoo.h>

#endif
