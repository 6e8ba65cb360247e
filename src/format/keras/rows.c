/* rows.c: Keras's classes, one row each, by family.
 *
 * options: words of what is passed on, each "theirs=ours" or one name for both; a "!" before it
 * turns a switch around, a "@" says that it is an activation. Names of Keras 1 stand beside those
 * of today: a file has one of them. */
#include "format/keras/keras.h"

#include <string.h>

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
            CONV_GATES, .more = cj__keras_more_rows_and_columns \
    }
#define EMBEDDING "input_dim output_dim mask_zero", {{"", "embeddings", CJ__KERAS_SAME}}
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
    ROW("Dense TimeDistributedDense", "dense",
        "units output_dim=units @activation !use_bias=no_bias !bias=no_bias",
        KERNEL(CJ__KERAS_SAME)),
    ROW("EinsumDense", "einsum_dense", "@activation bias_axes",
        {{"", "kernel", CJ__KERAS_SAME}, {"", "bias", CJ__KERAS_SAME}},
        .more = cj__keras_more_einsum),
    ROW("Activation", "activation", "@activation=function"),
    {"ReLU", "activation", "", .more = cj__keras_more_relu},
    {"LeakyReLU", "activation", "", .more = cj__keras_more_leaky},
    {"ELU", "activation", "", .more = cj__keras_more_elu},
    {"ThresholdedReLU", "activation", "", .more = cj__keras_more_above},
    {"Softmax", "activation", "", .more = cj__keras_more_softmax,
     .build = cj__keras_build_softmax},
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

    {"Conv1D Convolution1D AtrousConvolution1D AtrousConv1D", "conv1d",
     CONV "groups filter_length=kernel subsample_length=strides atrous_rate=dilation",
     KERNEL(CJ__KERAS_CONV), .images = true},
    {"Conv2D Convolution2D AtrousConvolution2D AtrousConv2D", "conv2d",
     CONV "groups atrous_rate=dilation", KERNEL(CJ__KERAS_CONV),
     .more = cj__keras_more_rows_and_columns, .images = true},
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
    {"ZeroPadding1D", "zero_padding1d", "", .more = cj__keras_more_edges, .images = true},
    {"ZeroPadding2D", "zero_padding2d", "", .more = cj__keras_more_edges, .images = true},
    {"ZeroPadding3D", "zero_padding3d", "", .more = cj__keras_more_edges, .images = true},
    {"Cropping1D", "cropping1d", "", .more = cj__keras_more_edges, .images = true},
    {"Cropping2D", "cropping2d", "", .more = cj__keras_more_edges, .images = true},
    {"Cropping3D", "cropping3d", "", .more = cj__keras_more_edges, .images = true},

    {"BatchNormalization BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization",
     "batch_normalization",
     NORM,
     {AFFINE, {"", "moving_mean", CJ__KERAS_SAME}, {"", "moving_variance", CJ__KERAS_SAME}},
     .more = cj__keras_more_axis,
     .build = cj__keras_build_batch_normalization},
    {"LayerNormalization",
     "layer_normalization",
     "epsilon !center=no_center !scale=no_scale",
     {AFFINE},
     .more = cj__keras_more_axis,
     .build = cj__keras_build_layer_normalization},
    {"GroupNormalization",
     "group_normalization",
     "groups epsilon !center=no_center !scale=no_scale",
     {AFFINE},
     .more = cj__keras_more_axis},
    {"RMSNormalization",
     "rms_normalization",
     "epsilon",
     {{"", "gamma", CJ__KERAS_SAME}},
     .more = cj__keras_more_axis},
    {"UnitNormalization", "unit_normalization", "", .more = cj__keras_more_axis},
    {"Rescaling", "rescaling", "scale offset", .build = cj__keras_build_rescaling},
    {"Normalization", "normalization", "", .build = cj__keras_build_normalization},
    {"Resizing", "resizing", "height width interpolation antialias",
     .build = cj__keras_build_resizing, .images = true},
    {"CenterCrop", "center_crop", "height width", .images = true},
    MOVED_ROW("RandomFlip", "random_flip", "mode"),
    MOVED_ROW("RandomRotation", "random_rotation", "factor " FILL),
    MOVED_ROW("RandomTranslation", "random_translation", "height_factor width_factor " FILL),
    MOVED_ROW("RandomZoom", "random_zoom", "height_factor width_factor " FILL),
    {"RandomBrightness", "random_brightness", "", .more = cj__keras_more_brightness,
     .build = cj__keras_build_coloured},
    {"RandomContrast", "random_contrast", "", .more = cj__keras_more_contrast,
     .build = cj__keras_build_coloured},
    {"AutoContrast", "auto_contrast", "", .build = cj__keras_build_coloured},
    {"RandomCrop", NULL, "", .build = cj__keras_build_cropped},
    /* In training alone, and then not here: */
    {"AugMix CutMix Equalization MixUp RandAugment RandomColorDegeneration RandomColorJitter "
     "RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale RandomHue "
     "RandomInvert RandomPerspective RandomPosterization RandomSaturation RandomSharpness "
     "RandomShear RandomHeight RandomWidth Solarization",
     NULL, "", .build = cj__keras_build_nothing},
    {"Pipeline", NULL, "", .build = cj__keras_build_chain},
    {"IntegerLookup", "integer_lookup", "invert", .build = cj__keras_build_lookup},
    {"StringLookup", "string_lookup", "", .build = cj__keras_build_lookup},
    {"TextVectorization", NULL, "", .build = cj__keras_build_vectorize},
    ROW("CategoryEncoding", "category_encoding", "num_tokens output_mode"),
    {"Discretization", "discretization", "bin_boundaries", .build = cj__keras_build_bins},

    ROW("Embedding", "embedding", EMBEDDING),
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
     "num_heads key_dim value_dim dropout !use_bias=no_bias", HEADS,
     .build = cj__keras_build_heads},
    {"GroupedQueryAttention GroupQueryAttention", "multi_head_attention",
     "num_query_heads=num_heads num_key_value_heads=num_kv_heads head_dim=key_dim dropout "
     "!use_bias=no_bias",
     HEADS, .build = cj__keras_build_heads},
    {"Attention AdditiveAttention",
     "score_attention",
     "dropout",
     {{"", "scale", CJ__KERAS_SAME}, {"", "score_weight", CJ__KERAS_SAME}},
     .build = cj__keras_build_attention},
    {"TFOpLambda SlicingOpLambda TrueDivide Divide Negative Absolute Abs Exp Log Sqrt Square Relu "
     "Sigmoid Tanh Power Matmul Rsqrt Reciprocal Log1p Expm1 Sin Cos Sign Floor Ceil Round Silu "
     "Softplus Gelu LeakyRelu Elu Relu6 LogSoftmax Normalize DepthToSpace GetItem Mean Sum Max "
     "Amax Min Amin Prod Transpose ExpandDims Squeeze Stack Cast "
     "Clip",
     NULL, "", .build = cj__keras_build_operator},
    {"Deconvolution2D Deconv2D", "conv2d_transpose", CONV, KERNEL(CJ__KERAS_BACK),
     .more = cj__keras_more_rows_and_columns, .build = cj__keras_build_deconvolution,
     .images = true},
    {"RandomFourierFeatures", NULL, "", .build = cj__keras_build_fourier},
    {"ParametricSoftplus", NULL, "", .build = cj__keras_build_softplus},
    {"SReLU", NULL, "", .build = cj__keras_build_bent},
    {"Merge", NULL, "", .build = cj__keras_build_merge},
    {"MaxoutDense",
     "einsum_dense",
     "",
     {{"", "kernel", CJ__KERAS_SAME}, {"", "bias", CJ__KERAS_SAME}},
     .build = cj__keras_build_maxout},
    ROW("Highway", "highway", "@activation",
        {{"", "kernel", CJ__KERAS_SAME},
         {"", "gate_kernel", CJ__KERAS_SAME},
         {"", "bias", CJ__KERAS_SAME},
         {"", "gate_bias", CJ__KERAS_SAME}}),
    {"SpectralNormalization", NULL, "", .build = cj__keras_build_chain},
    {"Lambda", NULL, "", .build = cj__keras_build_refused},
    {"LocallyConnected1D LocallyConnected2D",
     "einsum_dense",
     "@activation",
     {{"", "kernel", CJ__KERAS_LOCAL}, FLAT("", "bias")},
     .build = cj__keras_build_local},
    {"LayerScale",
     "einsum_dense",
     "",
     {{"", "kernel", CJ__KERAS_SAME}},
     .more = cj__keras_more_scale},
    {"CustomScaleLayer", NULL, "", .build = cj__keras_build_scaled_sum},
    {"ReversibleEmbedding", "embedding", EMBEDDING, .build = cj__keras_build_reversible},
    {"STFTSpectrogram",
     "conv1d",
     "",
     {{"", "kernel", CJ__KERAS_CONV}, {"", "kernel", CJ__KERAS_CONV}},
     .build = cj__keras_build_stft,
     .halves = true},
    {"MelSpectrogram", NULL, "", .build = cj__keras_build_mel},
    {"AbstractRNNCell ClassMethod ContrastLimitedAdaptiveHistogramEqualization "
     "DeviceWrapper DropoutWrapper DynamicEmbedding DynamicLookup FlaxLayer HashedCrossing Hashing "
     "InstanceMethod "
     "InstanceProperty JaxLayer MaxNumBoundingBoxes ResidualWrapper "
     "TensorFlowOpLayer TernaryDense TFSMLayer "
     "TorchModuleWrapper",
     NULL, "", .build = cj__keras_build_unread},
    {"Identity StochasticDepth", NULL, "", .build = cj__keras_build_nothing},
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
