/* rows.c: Keras's classes, one row each, by family.
 *
 * options: words of what is passed on, each "theirs=ours" or one name for both; a "!" before it
 * turns a switch around, a "@" says that it is an activation. Names of Keras 1 stand beside those
 * of today: a file has one of them. */
#include "format/keras/keras.h"

#include <string.h>

static const cj__json *of(const cj__keras_layer *layer, const char *key)
{
    return cj__json_find(layer->config, key);
}

/* ---- What options.c's words cannot say ------------------------------------------------------- */

static void append_number(cj__text *out, const char *key, double value)
{
    cj__text_format(out, "%s%s=", out->length ? ", " : "", key);
    cj__text_number(out, value);
}

/* "function=leaky_relu(negative_slope=0.3)": a layer that is an activation; nothing is said of what
 * the file does not say. */
static cj_status function(cj__text *out, const char *name, const cj__keras_layer *layer,
                          const char *const keys[][2])
{
    int n = 0;
    cj__text_format(out, "%sfunction=%s(", out->length ? ", " : "", name);
    for (int i = 0; keys[i][0]; i++) {
        const cj__json *value = of(layer, keys[i][0]);
        if (!value || value->type != CJ__JSON_NUMBER) continue;
        cj__text_format(out, "%s%s=", n++ ? ", " : "", keys[i][1]);
        cj__text_number(out, value->number);
    }
    cj__text_char(out, ')');
    return out->failed;
}

#define FUNCTION(id, name, ...) \
    static cj_status id(cj__keras *k, const cj__keras_layer *layer, cj__text *out) \
    { \
        static const char *const keys[][2] = {__VA_ARGS__, {NULL, NULL}}; \
        (void)k; \
        return function(out, name, layer, keys); \
    }
FUNCTION(relu, "relu", {"max_value", "max_value"}, {"negative_slope", "negative_slope"},
         {"threshold", "threshold"})
FUNCTION(leaky, "leaky_relu", {"alpha", "negative_slope"}, {"negative_slope", "negative_slope"})
FUNCTION(elu, "elu", {"alpha", "alpha"})
FUNCTION(above, "threshold", {"theta", "threshold"})
FUNCTION(softmax, "softmax", {"axis", "axis"})

/* An axis, or a list of axes, of which the first is ours; the others are to follow it. */
static cj_status axis(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    const cj__json *a = of(layer, "axis");
    if (a && a->type == CJ__JSON_ARRAY) {
        int64_t next = a->first && a->first->is_integer ? a->first->integer : 0;
        for (const cj__json *i = a->first; i; i = i->next)
            if (!i->is_integer || i->integer != next++)
                return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                                      "axes that do not follow one another");
        a = a->first;
    }
    if (cj__keras_bool(layer->config, "rms_scaling", false) ||
        cj__keras_bool(layer->config, "renorm", false))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED, "rms_scaling or renorm");
    if (a && a->is_integer) append_number(out, "axis", a->number);
    return out->failed;
}

/* Elements at the ends of each axis: n, [n, m] or [[top, bottom], [left, right]]. */
static cj_status edges(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    static const char *const names[3][2] = {{"front", "back"},
                                            {"top", "bottom"},
                                            {"left", "right"}};
    const cj__json *all = of(layer, "padding");
    if (!all) all = of(layer, "cropping");
    const int axes = layer->row->layer[strlen(layer->row->layer) - 2] - '0';
    if (!all) return CJ_OK;
    const bool list = all->type == CJ__JSON_ARRAY;
    const bool pair = axes == 1 && list && all->count == 2;
    const cj__json *item = list ? all->first : all;
    if (list && !pair && all->count != (size_t)axes)
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "padding of %zu axes; %d are expected",
                              all->count, axes);
    for (int i = 3 - axes; i < 3; i++) {
        const bool two = !pair && item->type == CJ__JSON_ARRAY && item->count == 2;
        const cj__json *first = two ? item->first : item;
        const cj__json *second = two || pair ? first->next : first;
        if (!first->is_integer || !second || !second->is_integer)
            return cj__keras_fail(k, layer, CJ_ERR_DATA, "padding that is no whole number");
        append_number(out, names[i][0], first->number);
        append_number(out, names[i][1], second->number);
        if (list && !pair) item = item->next;
    }
    return out->failed;
}

static cj_status whole(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    if (cj__keras_bool(layer->config, "crop_to_aspect_ratio", false) ||
        cj__keras_bool(layer->config, "pad_to_aspect_ratio", false))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "a picture whose sides keep their ratio");
    return out->failed;
}

/* Keras 1 has the sizes of a kernel apart. */
static cj_status rows_and_columns(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    const double rows = cj__keras_number(layer->config, "nb_row", 0),
                 columns = cj__keras_number(layer->config, "nb_col", 0);
    if (rows > 0 && columns > 0 && rows < 1e6 && columns < 1e6)
        cj__text_format(out, "%skernel=[%d, %d]", out->length ? ", " : "", (int)rows, (int)columns);
    (void)k;
    return out->failed;
}

/* EinsumDense: its equation is a text with commas, its shape may have a null. */
static cj_status einsum(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    const char *equation = cj__keras_string(layer->config, "equation");
    const cj__json *shape = of(layer, "output_shape");
    if (!equation ||
        equation[strspn(equation, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  ",.->")])
        return cj__keras_fail(k, layer, CJ_ERR_DATA, "no equation, or one of other characters");
    cj__text_format(out, "%sequation=\"%s\"", out->length ? ", " : "", equation);
    if (!shape || shape->type == CJ__JSON_NULL) return out->failed;
    cj__text_add(out, ", output_shape=[");
    const bool list = shape->type == CJ__JSON_ARRAY;
    for (const cj__json *i = list ? shape->first : shape; i; i = list ? i->next : NULL) {
        cj__text_number(out, i->is_integer ? i->number : 0);
        if (list && i->next) cj__text_add(out, ", ");
    }
    cj__text_char(out, ']');
    return out->failed;
}

/* The two numbers of a factor, f for -f .. f, behind `about` them. */
static cj_status factor(cj__text *out, const cj__json *f, double sign)
{
    if (!f || (f->type != CJ__JSON_NUMBER && (f->type != CJ__JSON_ARRAY || f->count != 2)))
        return out->failed;
    const bool one = f->type == CJ__JSON_NUMBER;
    const double a = one ? -sign * f->number : f->first->number,
                 b = one ? f->number : f->first->next->number;
    const double low = 1 + sign * a;
    cj__text_format(out, "%sfactor=[", out->length ? ", " : "");
    cj__text_number(out, low > 0 ? low : 0);
    cj__text_add(out, ", ");
    cj__text_number(out, 1 + b);
    cj__text_char(out, ']');
    return out->failed;
}

/* Keras adds a share of the range, -0.1 .. 0.2; ours multiplies by 0.9 .. 1.2. */
static cj_status brightness(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    (void)k;
    return factor(out, of(layer, "factor"), 1);
}

/* [a, b] are 1 - a .. 1 + b. */
static cj_status contrast(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    (void)k;
    return factor(out, of(layer, "factor"), -1);
}

/* IntegerLookup: places of what is not in the vocabulary are one, or none. */
static cj_status lookup(cj__keras *k, const cj__keras_layer *layer, cj__text *out)
{
    const char *mode = cj__keras_string(layer->config, "output_mode");
    const double unknown = cj__keras_number(layer->config, "num_oov_indices", 1);
    const cj__json *words = of(layer, "vocabulary");
    if (!words || words->type != CJ__JSON_ARRAY)
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "a vocabulary that is not in the configuration");
    if ((mode && strcmp(mode, "int")) || (unknown != 0 && unknown != 1))
        return cj__keras_fail(k, layer, CJ_ERR_UNSUPPORTED,
                              "output_mode other than int, or more than one place for what is not "
                              "in the vocabulary");
    append_number(out, "num_oov_indices", unknown ? 1 : -1);
    return out->failed;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

#define ROW(...) {__VA_ARGS__, .images = false}
#define KERNEL(form) {{"", "kernel", form}, {"", "bias", CJ__KERAS_SAME}}
#define CONV \
    "filters nb_filter=filters kernel_size=kernel strides subsample=strides padding " \
    "border_mode=padding dilation_rate=dilation @activation !use_bias=no_bias !bias=no_bias "
#define CONV_ROW(names, layer, form, ...) \
    {names, layer, CONV __VA_ARGS__, KERNEL(form), .images = true}
#define SEPARABLE \
    {{"", "depthwise_kernel", CJ__KERAS_DEEP}, {"", "pointwise_kernel", CJ__KERAS_CONV}, \
     {"", "bias", CJ__KERAS_SAME}}
#define POOL "pool_size=size pool_length=size strides stride=strides padding border_mode=padding"
#define POOL_ROW(names, layer) {names, layer, POOL, .images = true}
#define GLOBAL_ROW(names, layer) {names, layer, "keepdims", .images = true}
#define ADAPTIVE_ROW(names, layer) {names, layer, "output_size=output", .images = true}
#define NORM "momentum epsilon !center=no_center !scale=no_scale"
#define AFFINE {"", "gamma", CJ__KERAS_SAME}, {"", "beta", CJ__KERAS_SAME}
#define GATES \
    {{"cell", "kernel", CJ__KERAS_SWAP}, {"cell", "recurrent_kernel", CJ__KERAS_SWAP}, \
     {"cell", "bias", CJ__KERAS_FLAT}}
#define RECURRENT \
    "units output_dim=units @activation @recurrent_activation " \
    "@inner_activation=recurrent_activation return_sequences go_backwards !use_bias=no_bias"
#define RECURRENT_ROW(names, layer) \
    {names, layer, RECURRENT, GATES, .build = cj__keras_build_recurrent}
#define CELL_ROW(names, layer) \
    { \
        names, layer, RECURRENT, \
            {{"", "kernel", CJ__KERAS_SWAP}, \
             {"", "recurrent_kernel", CJ__KERAS_SWAP}, \
             {"", "bias", CJ__KERAS_FLAT}}, \
            .build = cj__keras_build_cell \
    }
#define CUDNN_ROW(names, layer, bias_form) \
    { \
        names, layer, "units return_sequences go_backwards", \
            {{"", "kernel", CJ__KERAS_GATES}, \
             {"", "recurrent_kernel", CJ__KERAS_TURNED}, \
             {"", "bias", bias_form}}, \
            .build = cj__keras_build_recurrent \
    }
#define CONV_GATES \
    {{"cell", "kernel", CJ__KERAS_CONV}, {"cell", "recurrent_kernel", CJ__KERAS_CONV}, \
     {"cell", "bias", CJ__KERAS_SAME}}
#define CONV_LSTM_ROW(names, layer) \
    { \
        names, layer, \
            CONV "@recurrent_activation @inner_activation=recurrent_activation " \
                 "return_sequences go_backwards", \
            CONV_GATES, .more = rows_and_columns \
    }
#define FILL "fill_mode fill_value interpolation"
#define MOVED_ROW(names, layer, options) \
    {names, layer, options, .build = cj__keras_build_moved, .images = true}
#define FLAT(path, name) {path, name, CJ__KERAS_FLAT}

#define HEADS \
    {FLAT("query_dense", "query_kernel"), FLAT("query_dense", "query_bias"), \
     FLAT("key_dense", "key_kernel"), FLAT("key_dense", "key_bias"), \
     FLAT("value_dense", "value_kernel"), FLAT("value_dense", "value_bias"), \
     FLAT("output_dense", "output_kernel"), FLAT("output_dense", "output_bias")}

static const cj__keras_row rows[] = {
    ROW("Dense", "dense",
     "units output_dim=units @activation !use_bias=no_bias !bias=no_bias", KERNEL(CJ__KERAS_SAME)),
    ROW("EinsumDense", "einsum_dense", "@activation bias_axes",
        {{"", "kernel", CJ__KERAS_SAME}, {"", "bias", CJ__KERAS_SAME}}, .more = einsum),
    ROW("Activation", "activation", "@activation=function"),
    {"ReLU", "activation", "", .more = relu},
    {"LeakyReLU", "activation", "", .more = leaky},
    {"ELU", "activation", "", .more = elu},
    {"ThresholdedReLU", "activation", "", .more = above},
    {"Softmax", "activation", "", .more = softmax},
    ROW("PReLU", "prelu", "shared_axes", {{"", "alpha", CJ__KERAS_SAME}}),
    ROW("Dropout", "dropout", "rate p=rate"),
    ROW("SpatialDropout1D", "spatial_dropout1d", "rate"),
    {"SpatialDropout2D", "spatial_dropout2d", "rate", .images = true},
    {"SpatialDropout3D", "spatial_dropout3d", "rate", .images = true},
    ROW("GaussianNoise", "gaussian_noise", "stddev sigma=stddev"),
    ROW("GaussianDropout", "gaussian_dropout", "rate"),
    ROW("AlphaDropout", "alpha_dropout", "rate"),
    ROW("ActivityRegularization", "activity_regularization", "l1 l2"),
    {"Flatten", "flatten", "", .images = true},
    ROW("Reshape", "reshape", "target_shape=shape"),
    ROW("Permute", "permute", "dims"),
    ROW("RepeatVector", "repeat_vector", "n"),
    ROW("Masking", "masking", "mask_value"),

    {"Conv1D Convolution1D", "conv1d", CONV "groups filter_length=kernel subsample_length=strides",
     KERNEL(CJ__KERAS_CONV), .images = true},
    {"Conv2D Convolution2D", "conv2d", CONV "groups", KERNEL(CJ__KERAS_CONV),
     .more = rows_and_columns, .images = true},
    CONV_ROW("Conv3D Convolution3D", "conv3d", CJ__KERAS_CONV, "groups"),
    CONV_ROW("Conv1DTranspose Convolution1DTranspose", "conv1d_transpose", CJ__KERAS_CONV,
             "output_padding"),
    CONV_ROW("Conv2DTranspose Convolution2DTranspose", "conv2d_transpose", CJ__KERAS_CONV,
             "output_padding"),
    CONV_ROW("Conv3DTranspose Convolution3DTranspose", "conv3d_transpose", CJ__KERAS_CONV,
             "output_padding"),
    CONV_ROW("DepthwiseConv1D", "depthwise_conv1d", CJ__KERAS_DEEP, "depth_multiplier"),
    CONV_ROW("DepthwiseConv2D", "depthwise_conv2d", CJ__KERAS_DEEP, "depth_multiplier"),
    {"SeparableConv1D SeparableConvolution1D", "separable_conv1d", CONV "depth_multiplier",
     SEPARABLE, .images = true},
    {"SeparableConv2D SeparableConvolution2D", "separable_conv2d", CONV "depth_multiplier",
     SEPARABLE, .images = true},
    POOL_ROW("MaxPooling1D MaxPool1D", "max_pool1d"),
    POOL_ROW("MaxPooling2D MaxPool2D", "max_pool2d"),
    POOL_ROW("MaxPooling3D MaxPool3D", "max_pool3d"),
    POOL_ROW("AveragePooling1D AvgPool1D", "average_pool1d"),
    POOL_ROW("AveragePooling2D AvgPool2D", "average_pool2d"),
    POOL_ROW("AveragePooling3D AvgPool3D", "average_pool3d"),
    GLOBAL_ROW("GlobalMaxPooling1D GlobalMaxPool1D", "global_max_pool1d"),
    GLOBAL_ROW("GlobalMaxPooling2D GlobalMaxPool2D", "global_max_pool2d"),
    GLOBAL_ROW("GlobalMaxPooling3D GlobalMaxPool3D", "global_max_pool3d"),
    GLOBAL_ROW("GlobalAveragePooling1D GlobalAvgPool1D", "global_average_pool1d"),
    GLOBAL_ROW("GlobalAveragePooling2D GlobalAvgPool2D", "global_average_pool2d"),
    GLOBAL_ROW("GlobalAveragePooling3D GlobalAvgPool3D", "global_average_pool3d"),
    ADAPTIVE_ROW("AdaptiveMaxPooling1D", "adaptive_max_pool1d"),
    ADAPTIVE_ROW("AdaptiveMaxPooling2D", "adaptive_max_pool2d"),
    ADAPTIVE_ROW("AdaptiveMaxPooling3D", "adaptive_max_pool3d"),
    ADAPTIVE_ROW("AdaptiveAveragePooling1D", "adaptive_average_pool1d"),
    ADAPTIVE_ROW("AdaptiveAveragePooling2D", "adaptive_average_pool2d"),
    ADAPTIVE_ROW("AdaptiveAveragePooling3D", "adaptive_average_pool3d"),
    {"UpSampling1D", "up_sampling1d", "size length=size", .images = true},
    {"UpSampling2D", "up_sampling2d", "size interpolation", .images = true},
    {"UpSampling3D", "up_sampling3d", "size", .images = true},
    {"ZeroPadding1D", "zero_padding1d", "", .more = edges, .images = true},
    {"ZeroPadding2D", "zero_padding2d", "", .more = edges, .images = true},
    {"ZeroPadding3D", "zero_padding3d", "", .more = edges, .images = true},
    {"Cropping1D", "cropping1d", "", .more = edges, .images = true},
    {"Cropping2D", "cropping2d", "", .more = edges, .images = true},
    {"Cropping3D", "cropping3d", "", .more = edges, .images = true},

    {"BatchNormalization BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization",
     "batch_normalization", NORM,
     {AFFINE, {"", "moving_mean", CJ__KERAS_SAME}, {"", "moving_variance", CJ__KERAS_SAME}},
     .more = axis},
    {"LayerNormalization", "layer_normalization", "epsilon !center=no_center !scale=no_scale",
     {AFFINE}, .more = axis},
    {"GroupNormalization", "group_normalization",
     "groups epsilon !center=no_center !scale=no_scale", {AFFINE}, .more = axis},
    {"RMSNormalization", "rms_normalization", "epsilon", {{"", "gamma", CJ__KERAS_SAME}},
     .more = axis},
    {"UnitNormalization", "unit_normalization", "", .more = axis},
    ROW("Rescaling", "rescaling", "scale offset"),
    {"Normalization", "normalization", "", .build = cj__keras_build_normalization},
    {"Resizing", "resizing", "height width interpolation antialias", .more = whole,
     .images = true},
    {"CenterCrop", "center_crop", "height width", .images = true},
    MOVED_ROW("RandomFlip", "random_flip", "mode"),
    MOVED_ROW("RandomRotation", "random_rotation", "factor " FILL),
    MOVED_ROW("RandomTranslation", "random_translation", "height_factor width_factor " FILL),
    MOVED_ROW("RandomZoom", "random_zoom", "height_factor width_factor " FILL),
    {"RandomBrightness", "random_brightness", "", .more = brightness,
     .build = cj__keras_build_coloured},
    {"RandomContrast", "random_contrast", "", .more = contrast, .build = cj__keras_build_coloured},
    {"AutoContrast", "auto_contrast", "", .build = cj__keras_build_coloured},
    {"RandomCrop", NULL, "", .build = cj__keras_build_cropped},
    /* In training alone, and then not here: */
    {"AugMix CutMix Equalization MixUp RandAugment RandomColorDegeneration RandomColorJitter "
     "RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale RandomHue "
     "RandomInvert RandomPerspective RandomPosterization RandomSaturation RandomSharpness "
     "RandomShear RandomHeight RandomWidth Solarization",
     NULL, "", .build = cj__keras_build_nothing},
    {"Pipeline", NULL, "", .build = cj__keras_build_chain},
    {"IntegerLookup", "integer_lookup", "vocabulary mask_token invert", .more = lookup},
    ROW("CategoryEncoding", "category_encoding", "num_tokens output_mode"),
    ROW("Discretization", "discretization", "bin_boundaries"),

    ROW("Embedding", "embedding", "input_dim output_dim mask_zero",
     {{"", "embeddings", CJ__KERAS_SAME}}),
    RECURRENT_ROW("SimpleRNN", "simple_rnn"),
    RECURRENT_ROW("LSTM", "lstm"),
    RECURRENT_ROW("GRU", "gru"),
    CUDNN_ROW("CuDNNLSTM", "lstm", CJ__KERAS_SUM),
    CUDNN_ROW("CuDNNGRU", "gru", CJ__KERAS_FLAT),
    CELL_ROW("SimpleRNNCell", "simple_rnn"),
    CELL_ROW("LSTMCell", "lstm"),
    CELL_ROW("GRUCell", "gru"),
    {"RNN", NULL, "", .build = cj__keras_build_cells},
    CONV_LSTM_ROW("ConvLSTM1D", "conv_lstm1d"),
    CONV_LSTM_ROW("ConvLSTM2D", "conv_lstm2d"),
    CONV_LSTM_ROW("ConvLSTM3D", "conv_lstm3d"),
    {"Bidirectional", NULL, "", .build = cj__keras_build_bidirectional},
    {"TimeDistributed", NULL, "", .build = cj__keras_build_steps},

    ROW("Add", "add", ""),
    ROW("Subtract", "subtract", ""),
    ROW("Multiply", "multiply", ""),
    ROW("Average", "average", ""),
    ROW("Maximum", "maximum", ""),
    ROW("Minimum", "minimum", ""),
    ROW("Concatenate", "concatenate", "axis"),
    ROW("Dot", "dot", "axes normalize"),
    {"MultiHeadAttention", "multi_head_attention",
     "num_heads key_dim value_dim dropout !use_bias=no_bias",
     HEADS, .build = cj__keras_build_heads},
    {"GroupedQueryAttention", "multi_head_attention",
     "num_query_heads=num_heads num_key_value_heads=num_kv_heads head_dim=key_dim dropout "
     "!use_bias=no_bias",
     HEADS, .build = cj__keras_build_heads},
    {"Attention AdditiveAttention", "score_attention", "dropout",
     {{"", "scale", CJ__KERAS_SAME}, {"", "score_weight", CJ__KERAS_SAME}},
     .build = cj__keras_build_attention},
    {"SpectralNormalization", NULL, "", .build = cj__keras_build_chain},
    {"Lambda", NULL, "", .build = cj__keras_build_refused},
    {"HashedCrossing Hashing LocallyConnected1D LocallyConnected2D MaxNumBoundingBoxes "
     "MelSpectrogram RandomFourierFeatures ReversibleEmbedding SlicingOpLambda STFTSpectrogram "
     "StringLookup TextVectorization TFOpLambda",
     NULL, "", .build = cj__keras_build_unread},
    {"Identity", NULL, "", .build = cj__keras_build_nothing},
};

bool cj__keras_is_word(const char *words, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = words; length && *at;) {
        const size_t n = strcspn(at, " ");
        if (n == length && !memcmp(at, word, n)) return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

const cj__keras_row *cj__keras_row_of(const char *kind)
{
    for (size_t i = 0; i < CJ__COUNT(rows); i++)
        if (cj__keras_is_word(rows[i].names, kind)) return &rows[i];
    return NULL;
}
